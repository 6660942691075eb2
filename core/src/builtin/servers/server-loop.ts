import { isDeepStrictEqual } from 'node:util';
import {
  type Controller,
  hasCode,
  type Lifecycle,
  type Logger,
  type Power,
  readInstallation,
  type Ref,
  type ResourceClient,
  SecretKind,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  ServerKind,
  type Site,
} from '../../index.ts';
import { keepBooks, type Ledger, sketchOf } from './books.ts';
import { type Capabilities, createCapabilities } from './capabilities.ts';
import { gatherFacts } from './facts.ts';
import { nextStep } from './next-step.ts';
import { paint } from './picture.ts';
import { SecretReaders } from './secret-readers.ts';
import type { Facts, Step } from './step.ts';
import { takeStep } from './take-step.ts';
import { UnderWay } from './under-way.ts';

/** What the loop works with. */
export interface LoopParts {
  readonly resources: ResourceClient;
  readonly lifecycle: Pick<Lifecycle, 'wipe' | 'whyHeld' | 'stream'>;
  readonly power: Power;
  readonly site: Pick<Site, 'powerPollMs' | 'rebootTimeoutMs'>;
  readonly log: Logger;
  readonly now: () => Date;
}

/** A device that does not answer holds its own server only: so many are worked on at once. */
const CONCURRENCY = 1024;
/** A step is decided from the first facts, then with the power looked at, then with the wipe's leave. */
const MOST_LOOKS = 4;

/** The loop over servers: looks at what is, does one thing, and looks again. */
export function serverLoop(parts: LoopParts): Controller<Server> {
  const loop = new ServerLoop(parts);
  return {
    name: 'servers',
    kind: ServerKind,
    also: [
      { kind: ServerBindingKind, refs: ({ metadata }) => loop.bindingChanged(metadata.name) },
      { kind: ServerKind, refs: (server) => loop.serverChanged(server as Server) },
      // A corrected login takes effect at once.
      { kind: SecretKind, refs: (secret) => loop.readers.of(secret) },
    ],
    concurrency: CONCURRENCY,
    reconcile: ({ name }, signal) => loop.reconcile(name, signal),
  };
}

class ServerLoop {
  readonly #parts: LoopParts;
  readonly #capabilities: Capabilities;
  readonly readers = new SecretReaders();
  readonly #underWay = new UnderWay();
  #installation: Promise<string> | undefined;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#capabilities = createCapabilities(parts);
  }

  async reconcile(name: string, signal: AbortSignal): Promise<{ readonly requeueAfterMs: number } | undefined> {
    const { resources, now } = this.#parts;
    const cached = await resources.get(ServerKind, { name });
    if (!cached) return this.#forget(name);
    this.readers.note(cached);
    const binding = await this.#bindingOf(cached);
    const isGoing = cached.metadata.deletionTimestamp !== undefined;
    const installation = isGoing ? undefined : await this.#whoWeAre();
    const server = await this.#keptBooks(cached, binding, installation);
    // Nothing but its ServerBinding keeps a server that is deleted: no BMC, no Secret, no disk.
    if (!server || (isGoing && !binding)) return undefined;
    const facts = gatherFacts({ ...this.#parts, installation: installation ?? '', now: now() }, server, binding);
    const { decided, step } = await this.#decide(facts, signal);
    const again = await takeStep({ ...this.#parts, underWay: this.#underWay, signal }, decided, step);
    if (step.deed.kind === 'rest') await this.#capabilities.tell(decided, signal);
    return again;
  }

  /** Also breaks off what must not go on; the reconcile that does it still runs. */
  bindingChanged(name: string): readonly Ref[] {
    this.#underWay.bound(name);
    return [{ name }];
  }

  /** The Server itself is due anyway. */
  serverChanged(server: Server): readonly Ref[] {
    this.#underWay.changed(server);
    return [];
  }

  // Letting a server go needs the API's own word that no binding was made a moment ago.
  async #bindingOf({ metadata, status }: Server): Promise<ServerBinding | undefined> {
    const { resources } = this.#parts;
    const ref = { name: metadata.name };
    const cached = await resources.get(ServerBindingKind, ref);
    const isLeaving = status?.inUse === true || metadata.deletionTimestamp !== undefined;
    return cached ?? (isLeaving ? resources.get(ServerBindingKind, ref, { live: true }) : undefined);
  }

  async #keptBooks(server: Server, binding: ServerBinding | undefined, installation: string | undefined): Promise<Server | undefined> {
    const { power, now } = this.#parts;
    const ledger = { binding, now: now(), installation, isManaged: power.drivers(server).length > 0 };
    // Compared with the cache first: most changes of a Server are none of its books, and `change` reads live.
    const wanted = sketchOf(server);
    keepBooks(wanted, ledger);
    if (isDeepStrictEqual(wanted, server)) return server;
    const kept = await this.#changed(server, (draft) => {
      keepBooks(draft, ledger);
      this.#tellAtOnce(draft, { binding, installation, now: ledger.now });
    });
    if (kept && server.status?.inUse && !binding) await this.#tellReleased(kept, ledger.isManaged);
    return kept;
  }

  // What can be told without a look at the machine goes into the same write: nothing is to be done then.
  #tellAtOnce(draft: Server, { binding, installation = '', now }: Pick<Ledger, 'binding' | 'installation' | 'now'>): void {
    const facts = gatherFacts({ ...this.#parts, installation, now }, draft, binding);
    const { deed, told } = nextStep(facts);
    if (deed.kind === 'rest') paint(draft, facts, told);
  }

  async #changed({ metadata: { name } }: Server, edit: (draft: Server) => void): Promise<Server | undefined> {
    try {
      return await this.#parts.resources.change(ServerKind, { name }, edit);
    } catch (thrown) {
      if (hasCode(thrown, 'SIDERO_RESOURCE_MISSING')) return undefined;
      throw thrown;
    }
  }

  async #tellReleased(server: Server, isManaged: boolean): Promise<void> {
    const { resources } = this.#parts;
    await resources.record(server, { type: 'Normal', reason: 'Server Allocation', message: 'Server marked as unallocated.' });
    if (isManaged || !server.spec?.accepted) return;
    const message = 'Nobody can switch its power: its old system may still run. Network-boot it by hand to have it wiped.';
    await resources.record(server, { type: 'Warning', reason: 'Server Management', message });
  }

  async #decide(first: Facts, signal: AbortSignal): Promise<{ decided: Facts; step: Step }> {
    const { power, lifecycle } = this.#parts;
    let facts = first;
    for (let looks = 0; looks < MOST_LOOKS; looks++) {
      const step = nextStep(facts);
      if (step.deed.kind === 'look') facts = { ...facts, power: await power.read(facts.server, signal) };
      else if (step.deed.kind === 'ask') facts = { ...facts, wipe: await lifecycle.wipe(facts.server) };
      else if (step.deed.kind === 'ask-holder') facts = { ...facts, holder: holderOf(await lifecycle.whyHeld(facts.server)) };
      else return { decided: facts, step };
    }
    throw new Error('a step asks for what it was told');
  }

  // A failure is not kept: the next server asks again.
  #whoWeAre(): Promise<string> {
    this.#installation ??= readInstallation(this.#parts.resources).catch((thrown: unknown) => {
      this.#installation = undefined;
      throw thrown;
    });
    return this.#installation;
  }

  #forget(name: string): undefined {
    this.readers.forget(name);
    this.#capabilities.forget(name);
  }
}

function holderOf(why: string | undefined): Facts['holder'] {
  return why === undefined ? 'nobody' : { why };
}
