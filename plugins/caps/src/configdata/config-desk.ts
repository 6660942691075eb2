import type { Lifecycle, MachineIdentity } from '@sidero/core';
import { type ConfigPatchEntry, renderConfig, type RenderInput } from '../machine-config/render.ts';
import type { ConfigSources } from './sources.ts';

/** Results that are kept. */
const MAX_KEPT = 2000;

/** Makes the configurations of bound machines; each is kept until one of the objects that it came from changes. */
export class ConfigDesk {
  readonly #lifecycle: Pick<Lifecycle, 'bind'>;
  readonly #kept = new Map<string, { readonly versions: string; readonly bytes: Buffer }>();

  constructor(lifecycle: Pick<Lifecycle, 'bind'>) {
    this.#lifecycle = lifecycle;
  }

  /** @throws SIDERO_MACHINE_CONFIG_INVALID, SIDERO_MACHINE_CONFIG_PATCH_FAILED, SIDERO_HOOK_FAILED, SIDERO_HOOK_TIMEOUT */
  async make(sources: ConfigSources): Promise<Buffer> {
    const uuid = sources.server.metadata.name;
    const versions = versionsOf(sources);
    const kept = this.#kept.get(uuid);
    if (kept?.versions === versions) return kept.bytes;
    const bytes = Buffer.from(renderConfig(renderInputOf(sources, await this.#lifecycle.bind(sources.binding))));
    this.#keep(uuid, { versions, bytes });
    return bytes;
  }

  #keep(uuid: string, made: { versions: string; bytes: Buffer }): void {
    this.#kept.delete(uuid);
    this.#kept.set(uuid, made);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
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
