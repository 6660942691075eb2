import { failure } from './errors.ts';

/** Values of environment variables by name. Flags of the command line are laid over them before anybody reads. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** One variable and how its text is read. */
export interface Setting<T> {
  readonly variable: string;
  readonly expected: string;
  /** Returns undefined when the text is not of this kind. */
  parse(text: string): T | undefined;
}

/** A setting that is any text. */
export function text(variable: string): Setting<string> {
  return { variable, expected: 'a text', parse: (value) => value };
}

/** A setting that is true or false, in the forms Go's flag package takes. */
export function boolean(variable: string): Setting<boolean> {
  return {
    variable,
    expected: 'true or false',
    parse: (value) => (/^(1|t|true)$/i.test(value) ? true : /^(0|f|false)$/i.test(value) ? false : undefined),
  };
}

/** A setting that is a whole number. */
export function integer(variable: string): Setting<number> {
  return { variable, expected: 'a whole number', parse: (value) => (/^-?\d+$/.test(value) ? Number(value) : undefined) };
}

/** A setting that is a list of texts, separated by commas. */
export function list(variable: string): Setting<string[]> {
  return {
    variable,
    expected: 'a list separated by commas',
    parse: (value) =>
      value
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '' && part !== '-'),
  };
}

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A setting that is a duration in Go's notation (`20m`, `1h30m`, `500ms`), read as milliseconds. */
export function duration(variable: string): Setting<number> {
  return {
    variable,
    expected: 'a duration such as 20m, 90s or 1h30m',
    parse(value) {
      if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(value)) return undefined;
      return [...value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce((sum, [, count, unit]) => sum + Number(count) * DURATION_MS[unit!]!, 0);
    },
  };
}

/** The value of a setting; unset, empty and `-` are undefined, as in the original. */
export function readSetting<T>(setting: Setting<T>, variables: Variables): T | undefined {
  const given = variables[setting.variable];
  if (given === undefined || given === '' || given === '-') return undefined;
  const value = setting.parse(given);
  if (value === undefined) {
    throw failure('SIDERO_SETTING_INVALID', { variable: setting.variable, value: given, expected: setting.expected });
  }
  return value;
}

/** The flag that sets a variable: `SIDERO_CONTROLLER_MANAGER_AUTO_ACCEPT_SERVERS` is `--auto-accept-servers`. */
export function flagOf(variable: string): string {
  if (variable === 'SIDERO_CONTROLLER_MANAGER_CONTAINER_API_PORT') return '--http-port';
  return `--${variable
    .replace(/^(SIDERO_(CONTROLLER_MANAGER_)?|CAPI_)/, '')
    .toLowerCase()
    .replaceAll('_', '-')}`;
}
