import type { Placeholder } from './bundle-part.ts';

export const API_PORT = 'SIDERO_CONTROLLER_MANAGER_API_PORT';
export const CONTAINER_API_PORT = 'SIDERO_CONTROLLER_MANAGER_CONTAINER_API_PORT';
export const HOST_NETWORK = placeholder('SIDERO_CONTROLLER_MANAGER_HOST_NETWORK', 'false');
export const DEPLOYMENT_STRATEGY = placeholder('SIDERO_CONTROLLER_MANAGER_DEPLOYMENT_STRATEGY', 'RollingUpdate');

/** `${NAME:=value}`. */
export function placeholder(name: string, value: string): Placeholder {
  return `\${${name}:=${value}}`;
}

/** What YAML shall have without quotes, since it becomes a number or true or false. */
export function bare(value: number | Placeholder): number | string {
  return typeof value === 'number' ? value : `${BARE}${value}`;
}

const BARE = '@bare:';

/** YAML in which placeholders are quoted, as what they become is a text, except those that `bare` gave. */
export function withPlaceholders(yaml: string): string {
  return yaml.replaceAll(/(?<=^|[:-] )(\$\{[^}\n]*\})$/gm, '"$1"').replaceAll(new RegExp(`'${BARE}(\\$\\{[^}\\n]*\\})'`, 'g'), '$1');
}
