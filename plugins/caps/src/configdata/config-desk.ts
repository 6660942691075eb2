import { type Lifecycle, type MachineIdentity, SideroError } from '@sidero/core';
import { type ConfigPatchEntry, renderConfig, type RenderInput } from '../machine-config/render.ts';
import type { ConfigSources } from './sources.ts';

/** What is kept, at most: the newest of some thousand machines, as a configuration has about 12 KB. */
const MOST_BYTES = 64 * 1024 * 1024;
/** What one counts beside its bytes. */
const ENTRY_BYTES = 1024;
/** So long a failure is the answer without another try: a machine asks every second, and finding out may take long. */
const FAILURE_MS = 30_000;

/** For tests that cannot wait, or make as many. */
export interface ConfigDeskLimits {
  /** A monotonic clock in ms. */
  readonly now?: () => number;
  readonly mostBytes?: number;
}

/** What came of making a configuration. */
interface Made {
  readonly versions: string;
  readonly result: Buffer | SideroError;
  /** On the clock of the desk. */
  readonly untilMs: number;
}

/** Makes the configurations of bound machines; each is kept until one of the objects that it came from changes, a failure for a while at most. */
export class ConfigDesk {
  readonly #lifecycle: Pick<Lifecycle, 'bind'>;
  readonly #now: () => number;
  readonly #mostBytes: number;
  /** The oldest first. */
  readonly #kept = new Map<string, Made>();
  #keptBytes = 0;

  constructor(lifecycle: Pick<Lifecycle, 'bind'>, { now = () => performance.now(), mostBytes = MOST_BYTES }: ConfigDeskLimits = {}) {
    this.#lifecycle = lifecycle;
    this.#now = now;
    this.#mostBytes = mostBytes;
  }

  /** @throws SIDERO_MACHINE_CONFIG_INVALID, SIDERO_MACHINE_CONFIG_PATCH_FAILED, SIDERO_HOOK_FAILED, SIDERO_HOOK_TIMEOUT */
  async make(sources: ConfigSources): Promise<Buffer> {
    const uuid = sources.server.metadata.name;
    const versions = versionsOf(sources);
    const kept = this.#kept.get(uuid);
    const isFresh = kept?.versions === versions && this.#now() < kept.untilMs;
    const result = isFresh ? kept.result : rendered(renderInputOf(sources, await this.#lifecycle.bind(sources.binding)));
    const untilMs = result instanceof SideroError ? this.#now() + FAILURE_MS : Infinity;
    if (!isFresh) this.#keep(uuid, { versions, result, untilMs });
    if (result instanceof SideroError) throw result;
    return result;
  }

  #keep(uuid: string, made: Made): void {
    this.#drop(uuid);
    this.#kept.set(uuid, made);
    this.#keptBytes += sizeOf(made);
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= this.#mostBytes) return;
      this.#drop(oldest);
    }
  }

  #drop(uuid: string): void {
    const made = this.#kept.get(uuid);
    if (!made) return;
    this.#kept.delete(uuid);
    this.#keptBytes -= sizeOf(made);
  }
}

function sizeOf({ result }: Made): number {
  return ENTRY_BYTES + (result instanceof SideroError ? 0 : result.byteLength);
}

function rendered(input: RenderInput): Buffer | SideroError {
  try {
    return Buffer.from(renderConfig(input));
  } catch (thrown) {
    if (thrown instanceof SideroError) return thrown;
    throw thrown;
  }
}

// What a plugin's tap on `bind` looks at besides is its own affair: it is asked again when one of these changes.
function versionsOf(sources: ConfigSources): string {
  const { binding, metalMachine, machine, secret, server, serverClass } = sources;
  return [binding, metalMachine, machine, secret, server, serverClass]
    .map((object) => `${object?.metadata.uid}/${object?.metadata.resourceVersion}`)
    .join(' ');
}

/** What `renderConfig` takes, from the objects and what plugins say of the machine. */
export function renderInputOf({ secret, server, serverClass }: ConfigSources, identity: MachineIdentity): RenderInput {
  const { documents, patches } = identity;
  return {
    uuid: server.metadata.name,
    bootstrap: Buffer.from(secret.data!['value']!, 'base64').toString('utf8'),
    server: patchesOf(`Server ${server.metadata.name}`, server.spec),
    ...(serverClass && { serverClass: patchesOf(`ServerClass ${serverClass.metadata.name}`, serverClass.spec) }),
    documents,
    patches,
  };
}

type Patched = { readonly configPatches?: readonly ConfigPatchEntry[]; readonly strategicPatches?: readonly string[] };

function patchesOf(name: string, spec: Patched | undefined) {
  return { name, configPatches: spec?.configPatches, strategicPatches: spec?.strategicPatches };
}
