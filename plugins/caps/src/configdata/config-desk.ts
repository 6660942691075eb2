import type { Lifecycle, MachineIdentity, ResourceClient } from '@sidero/core';
import type { ClusterApiKinds } from '../kinds.ts';
import { type ConfigPatchEntry, renderConfig, type RenderInput } from '../machine-config/render.ts';
import { type ConfigSources, gatherSources, type Refusal } from './sources.ts';

/** Results that are kept. */
const MAX_KEPT = 2000;

/** What configurations are made with. */
export interface ConfigGround {
  readonly resources: ResourceClient;
  readonly lifecycle: Pick<Lifecycle, 'bind'>;
  readonly kinds: () => Promise<ClusterApiKinds>;
}

/** A configuration, and what it was made from. */
export interface MadeConfig {
  readonly text: string;
  readonly sources: ConfigSources;
}

/** Makes the configurations of bound machines; each is kept until one of the objects that it came from changes. */
export class ConfigDesk {
  readonly #ground: ConfigGround;
  readonly #kept = new Map<string, { readonly versions: string; readonly text: string }>();

  constructor(ground: ConfigGround) {
    this.#ground = ground;
  }

  /** @throws SIDERO_MACHINE_CONFIG_INVALID, SIDERO_MACHINE_CONFIG_PATCH_FAILED, SIDERO_HOOK_FAILED, SIDERO_HOOK_TIMEOUT and what reading throws */
  async make(uuid: string): Promise<MadeConfig | Refusal> {
    const { resources, lifecycle, kinds } = this.#ground;
    const sources = await gatherSources(resources, await kinds(), uuid);
    if ('status' in sources) return sources;
    const versions = versionsOf(sources);
    const kept = this.#kept.get(uuid);
    if (kept?.versions === versions) return { text: kept.text, sources };
    const text = renderConfig(renderInputOf(sources, await lifecycle.bind(sources.binding)));
    this.#keep(uuid, { versions, text });
    return { text, sources };
  }

  #keep(uuid: string, made: { versions: string; text: string }): void {
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
