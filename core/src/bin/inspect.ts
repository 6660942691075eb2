import type { Command } from 'commander';
import { siteSchema, siteSettings } from '../config.ts';
import { lookAtConfig } from './look-at-config.ts';

/** What `sidero inspect --json` prints. */
export interface Inspection {
  readonly config: string;
  readonly plugins: readonly { readonly name: string; readonly options: unknown; readonly settings: Readonly<Record<string, string>> }[];
  readonly hooks: Readonly<Record<string, readonly { readonly plugin: string; readonly optional: boolean }[]>>;
  readonly routes: readonly { readonly method: string; readonly path: string; readonly plugin: string }[];
  readonly grpc: readonly { readonly method: string; readonly plugin: string }[];
  readonly controllers: readonly { readonly name: string; readonly kind: string; readonly plugin: string }[];
  /** By registry: powerDrivers, diskBoots, files, services, commands, explainers, customResources, bundle. */
  readonly registries: Readonly<Record<string, readonly { readonly name: string; readonly plugin: string }[]>>;
  readonly site: { readonly options: unknown; readonly settings: Readonly<Record<string, string>> };
}

/** `sidero inspect`: what a config is made of. Starts nothing, touches nothing. */
export function inspectCommand(program: Command): void {
  program
    .command('inspect')
    .description('show plugins, taps in their order, routes, gRPC services, drivers, boot files and options')
    .option('--json', 'as one JSON object')
    .action(async (options: { json?: boolean }) => {
      const inspection = await inspect(program.opts<{ config?: string }>().config);
      process.stdout.write(options.json ? `${JSON.stringify(inspection, null, 2)}\n` : toText(inspection));
    });
}

/** Loads a config and looks at what its plugins register. */
export async function inspect(file: string | undefined): Promise<Inspection> {
  const { config, kernel } = await lookAtConfig(file);
  const { taps, tables } = kernel;
  return {
    config: config.file,
    plugins: kernel.plugins.map(({ name, options }) => ({ name, options: options.schema, settings: options.settings })),
    hooks: Object.fromEntries(
      Object.keys(kernel.hooks).map((hook) => [hook, taps.filter((tap) => tap.hook === hook).map(({ plugin, optional }) => ({ plugin, optional }))]),
    ),
    routes: [
      ...kernel.routes.map(({ plugin, route }) => ({ method: route.method, path: route.path, plugin })),
      ...kernel.managementRoutes.map(({ plugin, route }) => ({ method: route.method, path: `${route.path} (management)`, plugin })),
    ],
    grpc: kernel.grpcServices.flatMap(({ plugin, definition }) => Object.values(definition).map(({ path }) => ({ method: path, plugin }))),
    controllers: kernel.controllers.map(({ plugin, controller }) => ({ name: controller.name, kind: controller.kind.kind, plugin })),
    registries: Object.fromEntries(
      Object.entries(tables).map(([name, table]) => {
        const registry = table.for('core');
        return [name, registry.list().map((entry) => ({ name: entry.name, plugin: registry.ownerOf(entry.name) ?? '' }))];
      }),
    ),
    site: { options: siteSchema, settings: Object.fromEntries(Object.entries(siteSettings).map(([key, { variable }]) => [key, variable])) },
  };
}

function toText(inspection: Inspection): string {
  const lines: string[] = [`config    ${inspection.config}`];
  const section = (title: string, rows: readonly string[]): void =>
    void lines.push('', title, ...(rows.length ? rows.map((row) => `  ${row}`) : ['  (none)']));
  section(
    'plugins',
    inspection.plugins.map(({ name, options, settings }) => `${name}${optionsOf(options, settings)}`),
  );
  section(
    'hooks',
    Object.entries(inspection.hooks).map(([hook, taps]) => `${hook.padEnd(10)}${taps.map(({ plugin }) => plugin).join(' → ') || '(no tap)'}`),
  );
  section(
    'routes',
    inspection.routes.map(({ method, path, plugin }) => `${method.padEnd(6)}${path.padEnd(32)}${plugin}`),
  );
  section(
    'gRPC',
    inspection.grpc.map(({ method, plugin }) => `${method.padEnd(52)}${plugin}`),
  );
  section(
    'controllers',
    inspection.controllers.map(({ name, kind, plugin }) => `${name.padEnd(24)}${kind.padEnd(16)}${plugin}`),
  );
  for (const [name, entries] of Object.entries(inspection.registries))
    section(
      name,
      entries.map((entry) => `${entry.name.padEnd(56)}${entry.plugin}`),
    );
  section('site', [`sidero.config.ts${optionsOf(inspection.site.options, inspection.site.settings)}`]);
  return `${lines.join('\n')}\n`;
}

interface OptionSchema {
  readonly properties?: Readonly<Record<string, { readonly default?: unknown; readonly description?: string }>>;
}

// One line an option: its name, its default, the variable that sets it, what it is.
function optionsOf(schema: unknown, settings: Readonly<Record<string, string>>): string {
  const options = Object.entries((schema as OptionSchema).properties ?? {});
  const rows = options.map(([name, { default: fallback, description = '' }]) => {
    const shown = fallback === undefined ? '-' : JSON.stringify(fallback);
    return `\n      ${name.padEnd(26)} ${shown.padEnd(14)} ${(settings[name] ?? '-').padEnd(50)} ${description}`;
  });
  return rows.join('');
}
