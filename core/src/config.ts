import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cosmiconfig, type CosmiconfigResult } from 'cosmiconfig';
import * as z from 'zod';
import { failure, SideroError } from './errors.ts';
import { noSuch } from './errors/nearest.ts';
import { PLUGIN_API, type Plugin } from './plugin.ts';
import { boolean, duration, integer, readSetting, text, type Setting, type Variables } from './settings.ts';

const port = z.int().min(0).max(65535);
// `host:port` or `:port`; `off` for none.
const listener = z.union([z.literal('off'), z.string().regex(/^(\[[0-9a-fA-F:]+\]|[^:[\]]*):\d+$/, 'must be HOST:PORT, :PORT or "off"')]);

const options = z.strictObject({
  endpoint: z.string().min(1).optional().describe('host or IP at which servers reach us; every PXE script carries it'),
  apiPort: port.default(8081).describe('port that servers are told'),
  httpPort: port.optional().describe('port that is bound; default: apiPort'),
  dataDir: z.string().min(1).default('.sidero').describe('folder for what must outlive the process'),
  bootAuth: z.enum(['require', 'report', 'off']).default('require').describe('whether machines must show the token of their boot'),
  bootFromDiskMethod: z.string().default('ipxe-exit').describe('how an installed machine that asks iPXE is sent to its disk'),
  extraAgentArgs: z.string().default('').describe("kernel arguments laid over the agent's, separated by white space"),
  pxeMode: z.enum(['uefi', 'bios']).default('uefi').describe('how servers whose spec.pxeMode says nothing network-boot'),
  rebootTimeoutMs: z
    .int()
    .min(1000)
    .default(20 * 60_000)
    .describe('how long a machine that boots or wipes may be silent before its power is cycled again, in milliseconds'),
  powerPollMs: z
    .int()
    .min(1000)
    .default(5 * 60_000)
    .describe('how often the power of a server at rest is looked at, in milliseconds'),
  healthAddress: listener.default(':9440').describe('where /healthz and /readyz answer'),
  diagnosticsAddress: listener.default(':8443').describe('where /metrics answers; HTTPS with Kubernetes tokens'),
  insecureDiagnostics: z.boolean().default(false).describe('serve /metrics by plain HTTP to anyone'),
  leaderElection: z.boolean().default(true).describe('false: this is the only replica'),
  namespace: z.string().default('sidero-system').describe('where the leader election Lease lies'),
  hookTimeoutMs: z.int().min(10).default(10_000).describe('how long a tap may take'),
});

/** Everything in sidero.config.ts but the plugins, with its defaults. */
export type SiteOptions = z.output<typeof options>;
/** What sidero.config.ts exports. */
export type SideroConfig = z.input<typeof options> & { readonly plugins: readonly Plugin[] };
/** A config that was found, checked, and had the variables laid over it. */
export interface LoadedConfig {
  readonly file: string;
  readonly options: SiteOptions;
  readonly plugins: readonly Plugin[];
}

/** The variables that set the options above; they win over the config file. */
export const siteSettings: { readonly [K in keyof SiteOptions]?: Setting<NonNullable<z.input<typeof options>[K]>> } = {
  endpoint: text('SIDERO_CONTROLLER_MANAGER_API_ENDPOINT'),
  apiPort: integer('SIDERO_CONTROLLER_MANAGER_API_PORT'),
  httpPort: integer('SIDERO_CONTROLLER_MANAGER_CONTAINER_API_PORT'),
  bootFromDiskMethod: text('SIDERO_CONTROLLER_MANAGER_BOOT_FROM_DISK_METHOD'),
  extraAgentArgs: text('SIDERO_CONTROLLER_MANAGER_EXTRA_AGENT_KERNEL_ARGS'),
  pxeMode: text('SIDERO_CONTROLLER_MANAGER_IPMI_PXE_METHOD') as Setting<'uefi' | 'bios'>,
  rebootTimeoutMs: duration('SIDERO_CONTROLLER_MANAGER_SERVER_REBOOT_TIMEOUT'),
  powerPollMs: duration('SIDERO_POWER_POLL'),
  dataDir: text('SIDERO_DATA_DIR'),
  bootAuth: text('SIDERO_BOOT_AUTH') as Setting<'require' | 'report' | 'off'>,
  healthAddress: text('SIDERO_HEALTH_ADDRESS'),
  diagnosticsAddress: text('CAPI_DIAGNOSTICS_ADDRESS'),
  insecureDiagnostics: boolean('CAPI_INSECURE_DIAGNOSTICS'),
  leaderElection: boolean('SIDERO_LEADER_ELECTION'),
  namespace: text('SIDERO_NAMESPACE'),
  hookTimeoutMs: integer('SIDERO_HOOK_TIMEOUT_MS'),
};

/** JSON schema of the options, for `sidero inspect` and the docs. */
export const siteSchema = z.toJSONSchema(options, { io: 'input' });

/** Does nothing but give the editor the types: `export default defineConfig({ endpoint, plugins: [...] })`. */
export function defineConfig(config: SideroConfig): SideroConfig {
  return config;
}

/**
 * Finds and checks the config: `file`, or the nearest sidero.config.{ts,js,mjs,json,yaml,yml} at or above `directory`.
 * @throws SIDERO_CONFIG_MISSING, SIDERO_CONFIG_UNREADABLE, SIDERO_CONFIG_INVALID, SIDERO_PLUGIN_INVALID
 */
export async function loadConfig(given: { file?: string | undefined; directory?: string; variables?: Variables }): Promise<LoadedConfig> {
  const directory = given.directory ?? process.cwd();
  const found = await readConfigFile(given.file, directory);
  if (!found) throw failure('SIDERO_CONFIG_MISSING', { directory });
  const file = found.filepath;
  const { plugins = [], ...rest } = found.config as { plugins?: unknown; [key: string]: unknown };
  if (!Array.isArray(plugins)) throw failure('SIDERO_CONFIG_INVALID', { file, key: 'plugins', problem: 'must be a list' });
  const loaded: Plugin[] = [];
  for (const [index, entry] of plugins.entries()) loaded.push(await toPlugin(entry, { file, index }));
  return checkConfig({ ...rest, plugins: loaded } as SideroConfig, { file, variables: given.variables ?? process.env });
}

/** Checks a config object and lays the variables over it. `file` is what errors name. */
export function checkConfig(config: SideroConfig, given: { file: string; variables: Variables }): LoadedConfig {
  const { plugins, ...rest } = config;
  const overrides = Object.entries(siteSettings).map(([key, setting]) => [key, readSetting<unknown>(setting, given.variables)] as const);
  const parsed = options.safeParse({ ...rest, ...Object.fromEntries(overrides.filter(([, value]) => value !== undefined)) });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
    const problem = unknown ? noSuch('key', unknown, Object.keys(options.shape)) : (issue?.message ?? '');
    throw failure('SIDERO_CONFIG_INVALID', { file: given.file, key: unknown ?? issue?.path.join('.') ?? '', problem });
  }
  const seen = new Set<string>();
  plugins.forEach((plugin, index) => {
    if (seen.has(plugin.name))
      throw failure('SIDERO_PLUGIN_INVALID', {
        file: given.file,
        index,
        problem: `is a second plugin named "${plugin.name}": give one call all its options`,
      });
    seen.add(plugin.name);
  });
  return { file: given.file, options: parsed.data, plugins };
}

async function readConfigFile(file: string | undefined, directory: string): Promise<CosmiconfigResult> {
  const names = ['ts', 'js', 'mjs', 'json', 'yaml', 'yml'].map((extension) => `sidero.config.${extension}`);
  const explorer = cosmiconfig('sidero', { searchPlaces: names, searchStrategy: 'global' });
  try {
    return file ? await explorer.load(resolve(directory, file)) : await explorer.search(directory);
  } catch (cause) {
    if (cause instanceof SideroError) throw cause;
    throw failure('SIDERO_CONFIG_UNREADABLE', {
      file: file ?? (cause as { filepath?: string }).filepath ?? `sidero.config.* in ${directory}`,
      cause,
    });
  }
}

// An entry of `plugins`: a plugin, or (in JSON and YAML, where nothing can be called) { from, name?, options? }.
async function toPlugin(entry: unknown, at: { file: string; index: number }): Promise<Plugin> {
  if (isPlugin(entry)) {
    if (entry.pluginApi === PLUGIN_API) return entry;
    throw failure('SIDERO_PLUGIN_INVALID', { ...at, problem: `("${entry.name}") is made for plugin API ${entry.pluginApi}, this is ${PLUGIN_API}` });
  }
  if (typeof entry === 'function') throw failure('SIDERO_PLUGIN_INVALID', { ...at, problem: 'is the plugin factory itself; call it' });
  const reference = typeof entry === 'string' ? { from: entry } : (entry as { from?: unknown; name?: unknown; options?: unknown } | null);
  if (typeof reference?.from !== 'string')
    throw failure('SIDERO_PLUGIN_INVALID', { ...at, problem: 'is neither a plugin nor { from: PACKAGE_OR_PATH }' });
  return fromModule(reference as { from: string; name?: string; options?: unknown }, at);
}

async function fromModule(reference: { from: string; name?: string; options?: unknown }, at: { file: string; index: number }): Promise<Plugin> {
  const { from, name } = reference;
  let exported: Record<string, unknown>;
  try {
    const isPath = /^[./]/.test(from);
    const target = isPath ? resolve(dirname(at.file), from) : createRequire(at.file).resolve(from);
    exported = (await import(pathToFileURL(target).href)) as Record<string, unknown>;
  } catch (cause) {
    throw failure('SIDERO_PLUGIN_INVALID', { ...at, problem: `("${from}") could not be loaded: ${(cause as Error).message}`, cause });
  }
  const factories = Object.values(exported).filter((value) => isFactory(value) && (name === undefined || value.pluginName === name));
  if (factories.length !== 1) {
    const names = Object.values(exported)
      .filter(isFactory)
      .map((factory) => factory.pluginName);
    throw failure('SIDERO_PLUGIN_INVALID', {
      ...at,
      problem: `("${from}") exports ${names.length ? `the plugins ${names.join(', ')}: say which as "name"` : 'no plugin made with definePlugin'}`,
    });
  }
  return (factories[0] as (given: unknown) => Plugin)(reference.options);
}

function isPlugin(value: unknown): value is Plugin {
  const plugin = value as Partial<Plugin> | null;
  return typeof plugin === 'object' && typeof plugin?.name === 'string' && typeof plugin.setup === 'function' && typeof plugin.pluginApi === 'number';
}

function isFactory(value: unknown): value is { readonly pluginName: string } {
  return typeof value === 'function' && typeof (value as { pluginName?: unknown }).pluginName === 'string';
}
