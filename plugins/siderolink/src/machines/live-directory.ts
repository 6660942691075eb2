import { setTimeout as delay } from 'node:timers/promises';
import { type Change, hasCode, type KubeObject, type ResourceClient, type ServerBinding, ServerBindingKind } from '@sidero/core';
import { MetalMachineKind, ownerMachineOf } from './kinds.ts';
import { linkAddress, type LinkedMachine, linkedMachine, metalMachineKey } from './linked-machine.ts';

/** How long somebody whom the API does not know either stays unknown without its being asked again. */
const UNKNOWN_MS = 2000;
/** Unknown addresses that are remembered. */
const MAX_UNKNOWN = 1024;
/** MetalMachines are a plugin's: their kind may come later. */
const LATE_KIND_MS = 10_000;

interface Entry {
  readonly binding: ServerBinding;
  readonly address: string | undefined;
  machine: LinkedMachine;
}

/** Who is who in the tunnel, from ServerBindings and MetalMachines as they are now. */
export class LiveDirectory {
  readonly #resources: ResourceClient;
  readonly #byUuid = new Map<string, Entry>();
  /** Two bindings with one address tell nothing about who it is. */
  readonly #byAddress = new Map<string, Set<string>>();
  /** Machine by `namespace/name` of the MetalMachine. */
  readonly #owners = new Map<string, string>();
  readonly #unknownUntil = new Map<string, number>();
  readonly #onLeave = new Set<(address: string) => void>();
  #asking: Promise<readonly ServerBinding[]> | undefined;

  constructor(resources: ResourceClient) {
    this.#resources = resources;
  }

  /** Keeps itself right until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const bindings = this.#resources.watch(ServerBindingKind, (change) => this.#bindingChanged(change), signal);
    await Promise.all([bindings, this.#followMetalMachines(signal)]);
  }

  /** Calls `left` with each address that stops being somebody's, until the signal aborts. */
  onLeave(left: (address: string) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#onLeave.add(left);
    signal.addEventListener('abort', () => this.#onLeave.delete(left), { once: true });
  }

  /** Who talks from an address in the tunnel, from what is known here. Undefined: nobody that is known. */
  machineAt(address: string): LinkedMachine | undefined {
    const uuids = this.#byAddress.get(address);
    if (uuids?.size !== 1) return undefined;
    for (const uuid of uuids) return this.#byUuid.get(uuid)?.machine;
    return undefined;
  }

  /** The same, and asks the API itself when nobody is known here: the binding may be younger than our copy. @throws what reading ServerBindings throws */
  async findMachine(address: string): Promise<LinkedMachine | undefined> {
    const known = this.machineAt(address);
    if (known || this.#isUnknown(address)) return known;
    const found = (await this.#ask()).filter((binding) => linkAddress(binding) === address);
    const [binding] = found;
    if (!binding || found.length > 1) {
      this.#noteUnknown(address);
      return undefined;
    }
    return linkedMachine(binding, await this.#ownerOf(binding));
  }

  // One list at a time, whoever asks.
  #ask(): Promise<readonly ServerBinding[]> {
    this.#asking ??= this.#resources.list(ServerBindingKind, {}, { live: true }).finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ownerOf(binding: ServerBinding): Promise<string | undefined> {
    const key = metalMachineKey(binding);
    if (key === undefined || this.#owners.has(key)) return this.#owners.get(key ?? '');
    const { namespace = '', name = '' } = binding.spec?.metalMachineRef ?? {};
    const metalMachine = await this.#resources.get(MetalMachineKind, { namespace, name }).catch(() => undefined);
    return metalMachine && ownerMachineOf(metalMachine);
  }

  #isUnknown(address: string): boolean {
    return (this.#unknownUntil.get(address) ?? 0) > performance.now();
  }

  #noteUnknown(address: string): void {
    this.#unknownUntil.delete(address);
    this.#unknownUntil.set(address, performance.now() + UNKNOWN_MS);
    const [oldest] = this.#unknownUntil.keys();
    if (this.#unknownUntil.size > MAX_UNKNOWN && oldest !== undefined) this.#unknownUntil.delete(oldest);
  }

  #bindingChanged({ type, object }: Change<ServerBinding>): void {
    const uuid = object.metadata.name;
    const before = this.#byUuid.get(uuid);
    const address = type === 'removed' ? undefined : linkAddress(object);
    if (type === 'removed') this.#byUuid.delete(uuid);
    else this.#byUuid.set(uuid, { binding: object, address, machine: linkedMachine(object, this.#owners.get(metalMachineKey(object) ?? '')) });
    if (before?.address === address) return;
    if (before?.address !== undefined) this.#leave(before.address, uuid);
    if (address === undefined) return;
    this.#unknownUntil.delete(address);
    const holders = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, holders.add(uuid));
  }

  #leave(address: string, uuid: string): void {
    const holders = this.#byAddress.get(address);
    holders?.delete(uuid);
    if (holders?.size === 0) this.#byAddress.delete(address);
    for (const left of this.#onLeave) left(address);
  }

  async #followMetalMachines(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (await this.#hasMetalMachines()) return this.#resources.watch(MetalMachineKind, (change) => this.#metalMachineChanged(change), signal);
      await delay(LATE_KIND_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  // A kind that never comes must not be watched: `/readyz` would wait for it.
  async #hasMetalMachines(): Promise<boolean> {
    try {
      await this.#resources.list(MetalMachineKind, { namespace: 'default' }, { live: true });
      return true;
    } catch (thrown) {
      return (
        !hasCode(thrown, 'SIDERO_RESOURCE_FAILED') && !hasCode(thrown, 'SIDERO_RESOURCE_UNREACHABLE') && !hasCode(thrown, 'SIDERO_CLUSTER_CLOSED')
      );
    }
  }

  #metalMachineChanged({ type, object }: Change<KubeObject>): void {
    const { namespace = '', name } = object.metadata;
    const key = `${namespace}/${name}`;
    const owner = type === 'removed' ? undefined : ownerMachineOf(object);
    if (this.#owners.get(key) === owner) return;
    if (owner === undefined) this.#owners.delete(key);
    else this.#owners.set(key, owner);
    for (const entry of this.#byUuid.values()) if (metalMachineKey(entry.binding) === key) entry.machine = linkedMachine(entry.binding, owner);
  }
}
