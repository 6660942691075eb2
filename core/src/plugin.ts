import * as z from 'zod';
import { optionFailure } from './errors/option-failure.ts';
import { readSetting, type Setting, type Variables } from './settings.ts';
import type { Sidero } from './sidero.ts';

/** Version of the plugin API; a plugin made for another major is refused at load. */
export const PLUGIN_API = 1;

export interface Plugin {
  /** Unique and lower-case ("ipmi"): the tap name, the log field and the metric label. */
  readonly name: string;
  readonly pluginApi: number;
  /** JSON schema of the options and the variables that set them, for `sidero inspect` and the docs. */
  readonly options: { readonly schema: unknown; readonly settings: Readonly<Record<string, string>> };
  /** Registers only. No socket, no timer, no API call: `sidero inspect` runs it anywhere. */
  setup(sidero: Sidero): void;
}

export interface PluginDefinition<S extends z.ZodType> {
  readonly name: string;
  /** A zod object, best `z.strictObject`, so that unknown keys are refused. A bad option stops the start. */
  readonly options: S;
  /** Environment variables that set options; they win over the config file. */
  readonly settings?: { readonly [K in keyof z.input<S>]?: Setting<NonNullable<z.input<S>[K]>> };
  setup(sidero: Sidero, options: z.output<S>): void;
}

/** What `definePlugin` returns; `pluginName` is how a JSON or YAML config finds it in a module. */
export interface PluginFactory<S extends z.ZodType> {
  (...given: Given<S>): Plugin;
  readonly pluginName: string;
}

type Given<S extends z.ZodType> = {} extends z.input<S> ? [options?: z.input<S>] : [options: z.input<S>];

/**
 * Makes a plugin factory: `export const ipmi = definePlugin({...})`, then `ipmi({...})` in sidero.config.ts.
 * Options are checked when the plugin is set up, after the variables of `settings` were laid over them.
 */
export function definePlugin<S extends z.ZodType>(definition: PluginDefinition<S>): PluginFactory<S> {
  const settings = Object.entries(definition.settings ?? {}) as [string, Setting<unknown>][];
  const make = (...given: Given<S>): Plugin => ({
    name: definition.name,
    pluginApi: PLUGIN_API,
    options: {
      schema: z.toJSONSchema(definition.options, { io: 'input', unrepresentable: 'any' }),
      settings: Object.fromEntries(settings.map(([key, setting]) => [key, setting.variable])),
    },
    setup(sidero) {
      const overrides = readSettings(settings, sidero.variables);
      const parsed = definition.options.safeParse({ ...(given[0] as object | undefined), ...overrides });
      if (!parsed.success) {
        const given = settings.filter(([key]) => key in overrides).map(([key, setting]) => [key, setting.variable] as const);
        throw optionFailure(definition, parsed.error, new Map(given));
      }
      // Void, but what an async function returns shows that it is one.
      return definition.setup(sidero, parsed.data);
    },
  });
  return Object.assign(make, { pluginName: definition.name });
}

function readSettings(settings: readonly [string, Setting<unknown>][], variables: Variables): Record<string, unknown> {
  const values = settings.map(([key, setting]) => [key, readSetting(setting, variables)] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}
