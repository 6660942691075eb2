import { once } from 'node:events';
import * as z from 'zod';
import {
  assetState,
  assetsOf,
  boolean,
  definePlugin,
  type Environment,
  type EnvironmentCondition,
  EnvironmentKind,
  hasCode,
  type ResourceClient,
  type Service,
  type Sidero,
  talosKernelArgs,
} from '../index.ts';
import { EnvironmentFetcher } from './environment-fetcher.ts';

/** The Environment that servers boot which name no other one; made when it is missing, never changed. */
const DEFAULT = 'default';

/** The Talos that it boots. */
const TALOS_RELEASE = 'v1.13.0';

/** Their folders hold the agent. */
const RESERVED: readonly string[] = ['agent-amd64', 'agent-arm64'];

/** How soon the leader looks again at an Environment that is not ready. It costs two small reads and no call. */
const LOOK_MS = 1000;

const options = z.strictObject({
  fetch: z.boolean().default(true).describe('fetch the files of Environments; without it none becomes ready that is not'),
  stallMs: z.int().min(100).default(60_000).describe('silence of a web server that ends an attempt'),
  concurrency: z.int().min(1).default(4).describe('files fetched at once'),
  retryMs: z.int().min(1).default(1000).describe('pause after a failure; doubles up to 5 min'),
});

/** Fetches what Environments name, on every replica; the leader writes what came of it, and makes the default one. */
export const environments = definePlugin({
  name: 'environments',
  options,
  settings: { fetch: boolean('SIDERO_FETCH_ENVIRONMENTS') },
  setup(sidero, given) {
    if (given.fetch) sidero.services.add(fetchService(sidero, given));
    sidero.controllers.add<Environment>({
      name: 'environments',
      kind: EnvironmentKind,
      always: [{ name: DEFAULT }],
      reconcile: ({ name }) => reconcile(sidero, name),
    });
  },
});

/** The Environment that boots a release of Talos on amd64. */
export function defaultEnvironment(release: string): Environment {
  const from = `https://github.com/siderolabs/talos/releases/download/${release}`;
  const ours = ['console=tty0', 'console=ttyS0', 'earlyprintk=ttyS0', 'initrd=initramfs.xz', 'talos.platform=metal'];
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Environment',
    metadata: { name: DEFAULT },
    spec: {
      kernel: { url: `${from}/vmlinuz-amd64`, args: [...talosKernelArgs(release), ...ours].toSorted() },
      initrd: { url: `${from}/initramfs-amd64.xz` },
    },
  };
}

/** Conditions of an Environment, one for each file; the time of the last change is kept where nothing changes. */
export async function conditionsOf(environment: Environment, dataDir: string, now: Date): Promise<EnvironmentCondition[]> {
  const { name } = environment.metadata;
  const isReserved = RESERVED.includes(name);
  return Promise.all(
    assetsOf(environment).map(async (asset) => {
      const state = isReserved
        ? { ready: false as const, reason: 'is not fetched: this name is kept for the agent' }
        : await assetState(dataDir, name, asset);
      const about = { type: 'Ready', ...(asset.url && { url: asset.url }), ...(asset.sha512 && { sha512: asset.sha512 }) };
      const outcome = state.ready
        ? { ...about, status: 'True' }
        : { ...about, status: 'False', reason: isReserved ? 'NameReserved' : reasonWord(state.reason), message: `${asset.file} ${state.reason}` };
      const before = environment.status?.conditions?.find(({ url, status }) => url === about.url && status === outcome.status);
      return { ...outcome, lastTransitionTime: before?.lastTransitionTime ?? now.toISOString().replace(/\.\d+Z$/, 'Z') };
    }),
  );
}

async function reconcile(sidero: Sidero, name: string): Promise<{ requeueAfterMs: number } | undefined> {
  const { resources, site } = sidero;
  const environment = await resources.get(EnvironmentKind, { name });
  if (!environment) {
    if (name === DEFAULT) await createDefault(resources);
    return undefined;
  }
  const wanted = await conditionsOf(environment, site.dataDir, new Date());
  const isReady = wanted.every(({ status }) => status === 'True');
  if (wanted.length > 0) await writeConditions(resources, environment, wanted);
  if (!RESERVED.includes(name)) return isReady ? undefined : { requeueAfterMs: LOOK_MS };
  const message = `The name ${name} is kept for the agent's own files; use another one.`;
  await resources.record(environment, { type: 'Warning', reason: 'NameReserved', message });
  return undefined;
}

async function createDefault(resources: ResourceClient): Promise<void> {
  await resources.create(EnvironmentKind, defaultEnvironment(TALOS_RELEASE)).catch((error: unknown) => {
    if (!hasCode(error, 'SIDERO_RESOURCE_EXISTS')) throw error;
  });
}

async function writeConditions(resources: ResourceClient, environment: Environment, wanted: EnvironmentCondition[]): Promise<void> {
  // Compared with the cache first: `change` reads live.
  if (JSON.stringify(environment.status?.conditions?.map(sorted)) === JSON.stringify(wanted.map(sorted))) return;
  await resources
    .change(EnvironmentKind, { name: environment.metadata.name }, (draft) => {
      draft.status = { ...draft.status, conditions: wanted };
    })
    .catch((error: unknown) => {
      if (!hasCode(error, 'SIDERO_RESOURCE_MISSING')) throw error;
    });
}

function fetchService(sidero: Sidero, given: z.output<typeof options>): Service {
  const { lifecycle, log, resources, site } = sidero;
  return {
    name: 'environments',
    where: 'every',
    async run(signal, ready) {
      const { stallMs, concurrency, retryMs } = given;
      const stream = lifecycle.stream.bind(lifecycle);
      await using fetcher = new EnvironmentFetcher({ dataDir: site.dataDir, log, stream, stallMs, concurrency, retryMs, lookMs: 60_000 });
      ready();
      const watching = resources.watch(
        EnvironmentKind,
        ({ type, object }) => {
          if (RESERVED.includes(object.metadata.name)) return;
          if (type === 'removed') fetcher.drop(object.metadata.name);
          else fetcher.keep(object);
        },
        signal,
      );
      const all = await resources.list(EnvironmentKind, {}, { live: true }).catch(() => undefined);
      // An API that is away says nothing about what exists; the folders are looked at again at the next start.
      if (all) await fetcher.clean(new Set(all.map(({ metadata }) => metadata.name)));
      if (!signal.aborted) await once(signal, 'abort');
      await watching;
    },
  };
}

function reasonWord(reason: string): string {
  return reason.startsWith('is being fetched') ? 'Fetching' : 'FetchFailed';
}

function sorted(condition: EnvironmentCondition): [string, unknown][] {
  return Object.entries(condition).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
