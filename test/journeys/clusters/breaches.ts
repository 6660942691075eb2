import { type Change, type KubeObject, type ResourceClient, type ServerBinding, ServerBindingKind } from '@sidero/core';
import { type MetalMachine, MetalMachineKind, serverOfProviderId } from '@sidero/plugin-caps';
import type { PowerAction } from '@sidero/testing/bmc';

/** A machine as the watcher sees it. */
export interface Watched {
  readonly uuid: string;
  /** uid of the MetalMachine whose Talos is on its disk. */
  readonly disk: string | undefined;
  /** The same, of the one that runs or is being installed now. */
  readonly runs: string | undefined;
  /** It runs our agent, or network-boots it. */
  readonly isInAgent: boolean;
}

const nameOf = (binding: ServerBinding | undefined) => binding?.spec?.metalMachineRef.name;
const uidOf = ({ metadata }: KubeObject) => metadata.uid ?? '';

/**
 * Looks on while a management plane works, and writes down what must never happen. It follows the API on a wire of its own. What it blames somebody
 * for was so before the deed and is so after it, both seen: a change that crossed the deed is nobody's fault.
 */
export class Breaches {
  readonly #found = new Set<string>();
  readonly #truth: ResourceClient;
  readonly #tell: (what: string) => void;
  readonly #bindings = new Map<string, ServerBinding>();
  readonly #machines = new Map<string, MetalMachine>();
  readonly #tokens = new Map<string, string>();
  #next = Promise.withResolvers<void>();
  readonly #looking = new Set<Promise<void>>();

  /** @param tell hears what it sees come, go and happen */
  constructor(truth: ResourceClient, tell: (what: string) => void = () => undefined) {
    this.#truth = truth;
    this.#tell = tell;
  }

  /** Follows the API until the signal aborts. */
  follow(signal: AbortSignal): void {
    void this.#truth.watch(
      ServerBindingKind,
      (change) => {
        keep(this.#bindings, change, change.object.metadata.name);
        if (change.type === 'changed') return;
        this.#tell(`${change.object.metadata.name.slice(0, 8)}: ServerBinding of ${nameOf(change.object)} ${change.type}`);
        this.#next.resolve();
        this.#next = Promise.withResolvers();
      },
      signal,
    );
    void this.#truth.watch(
      MetalMachineKind,
      (change) => {
        this.#tellMachine(change);
        keep(this.#machines, change, uidOf(change.object));
        this.#oneOwnerEach();
      },
      signal,
    );
  }

  /** The ServerBinding of a server, as it was last heard of. */
  binding(uuid: string): ServerBinding | undefined {
    return this.#bindings.get(uuid);
  }

  /** Resolves when a ServerBinding comes or goes. */
  nextBinding(): Promise<void> {
    return this.#next.promise;
  }

  /** A BMC cut the power of a machine that was on, told to do `order`. */
  powerCut(machine: Watched, order: PowerAction): void {
    const { uuid, disk, runs, isInAgent } = machine;
    this.#tell(`${uuid.slice(0, 8)}: its BMC is told ${order}`);
    const before = this.#bindings.get(uuid);
    // Allocated in the milliseconds in which the order to switch off a clean server is on its way: its agent idles, and it is switched on again.
    const isIdle = order === 'off' && isInAgent && disk === undefined;
    this.#look(async () => {
      const { binding, holder } = await this.#now(uuid, runs ?? disk);
      if (holder) this.blame(`${order}: the power of ${uuid} was cut, which has Talos of ${holder.metadata.name}`);
      else if (!isIdle && isSame(before, binding)) this.blame(`${order}: the power of ${uuid} was cut, which is bound to ${nameOf(binding)}`);
    });
  }

  /** An agent begins to wipe the disks of a machine. */
  wiped(machine: Watched): void {
    const { uuid, disk } = machine;
    const before = this.#bindings.get(uuid);
    this.#look(async () => {
      const { binding, holder } = await this.#now(uuid, disk);
      if (holder) this.blame(`${uuid} was wiped, with ${holder.metadata.name} on its disk`);
      else if (isSame(before, binding)) this.blame(`${uuid} was wiped, which is bound to ${nameOf(binding)}`);
    });
  }

  /** A machine was told to boot an Environment. */
  tokenGiven(uuid: string, token: string): void {
    const first = this.#tokens.get(token) ?? uuid;
    this.#tokens.set(token, first);
    if (first !== uuid) this.blame(`the config token of ${first} was given to ${uuid}`);
  }

  /** A machine got a configuration that belongs to the MetalMachine with that uid; `before` is its ServerBinding as it was when it asked. */
  configGiven({ uuid, disk }: Watched, owner: string, before: ServerBinding | undefined): void {
    if (disk !== undefined && disk !== owner) this.blame(`${uuid} was given to ${owner} with ${disk} on its disk`);
    this.#look(async () => {
      const { binding } = await this.#now(uuid, undefined);
      if (isSame(before, binding) && binding?.spec?.metalMachineRef.uid !== owner)
        this.blame(`${uuid}, bound to ${nameOf(binding)}, got the configuration of ${owner}`);
    });
  }

  /** Something else that must not be. */
  blame(what: string): void {
    this.#tell(`MUST NOT BE: ${what}`);
    this.#found.add(what);
  }

  get found(): readonly string[] {
    return [...this.#found];
  }

  /** Resolves when everything seen so far has been judged. */
  async judged(): Promise<void> {
    while (this.#looking.size > 0) await Promise.all(this.#looking);
  }

  #look(work: () => Promise<void>): void {
    // The API closes at the end, when nothing counts any more.
    const looking = work()
      .catch(() => undefined)
      .finally(() => this.#looking.delete(looking));
    this.#looking.add(looking);
  }

  async #now(uuid: string, owner: string | undefined): Promise<{ binding: ServerBinding | undefined; holder: MetalMachine | undefined }> {
    const [binding, machines] = await Promise.all([
      this.#truth.get(ServerBindingKind, { name: uuid }, { live: true }),
      this.#truth.list(MetalMachineKind, {}, { live: true }),
    ]);
    const alive = machines.filter(({ metadata }) => !metadata.deletionTimestamp);
    const isHeld = alive.some(({ metadata }) => metadata.uid === binding?.spec?.metalMachineRef.uid);
    return { binding: isHeld ? binding : undefined, holder: alive.find(({ metadata }) => metadata.uid === owner) };
  }

  #tellMachine({ type, object }: Change<MetalMachine>): void {
    const before = this.#machines.get(uidOf(object));
    if (type === 'changed' && before && standingOf(before) === standingOf(object)) return;
    this.#tell(`MetalMachine ${object.metadata.name} ${type}: ${standingOf(object)}`);
  }

  #oneOwnerEach(): void {
    const owners = new Map<string, MetalMachine>();
    for (const machine of this.#machines.values()) {
      const server = machine.metadata.deletionTimestamp ? undefined : serverOfProviderId(machine);
      if (server === undefined) continue;
      const other = owners.get(server);
      if (other) this.blame(`${server} is allocated to both ${other.metadata.name} and ${machine.metadata.name}`);
      owners.set(server, machine);
    }
  }
}

function standingOf({ metadata, spec }: MetalMachine): string {
  return `${spec?.providerID ?? 'no server'}${metadata.deletionTimestamp ? ', is being deleted' : ''}`;
}

function keep<T extends KubeObject>(known: Map<string, T>, { type, object }: Change<T>, key: string): void {
  if (type === 'removed') known.delete(key);
  else known.set(key, object);
}

function isSame(before: ServerBinding | undefined, after: ServerBinding | undefined): boolean {
  return before !== undefined && before.metadata.uid === after?.metadata.uid && before.spec?.metalMachineRef.uid === after?.spec?.metalMachineRef.uid;
}
