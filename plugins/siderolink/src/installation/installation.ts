import { hasCode, messageOf, orAborted, type ResourceClient, SecretKind, type Sidero } from '@sidero/core';
import { setTimeout as delay } from 'node:timers/promises';
import { failure } from '../errors.ts';
import { publicKeyOf } from './keys.ts';
import { type LinkNetwork, loopbackNetwork, tunnelNetwork } from './network.ts';
import { type InstallationKeys, readKeys, readOrMakeKeys, SECRET_REASON, SECRET_REF } from './secret.ts';

/** How often the Secret is looked at, to notice when it is gone or another one. */
const LOOK_MS = 5000;

/** Who this installation is, from the Secret `siderolink`, and the addresses that follow. */
export interface KnownInstallation extends InstallationKeys {
  /** Of the server's WireGuard, base64. */
  readonly publicKey: string;
  /** `fdae:2859:5bb1:7a03::/64`. */
  readonly subnet: string;
  /** Of the server in the tunnel, without prefix length. */
  readonly serverAddress: string;
  readonly network: LinkNetwork;
}

/** What every replica knows of the Secret. It holds on to what it read; only another valid Secret replaces it. */
export class InstallationDesk {
  readonly #sidero: Pick<Sidero, 'resources' | 'log' | 'metrics'>;
  readonly #networkOf: (keys: InstallationKeys) => LinkNetwork;
  readonly #first = Promise.withResolvers<KnownInstallation>();
  #known: KnownInstallation | undefined;
  #problem: string | undefined;
  readonly #onChange = new Set<(known: KnownInstallation) => void>();

  constructor(sidero: Pick<Sidero, 'resources' | 'log' | 'metrics'>, tunnel: string) {
    this.#sidero = sidero;
    this.#networkOf = tunnel === 'loopback' ? loopbackNetwork : ({ id }) => tunnelNetwork(id);
  }

  /** Settles once the Secret was read for the first time. */
  get first(): Promise<KnownInstallation> {
    return this.#first.promise;
  }

  /** Undefined until the Secret was read. */
  get known(): KnownInstallation | undefined {
    return this.#known;
  }

  /** What is wrong with the Secret now, for people. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Where no service runs (a command), it is read, and never made. @throws SIDERO_SIDEROLINK_UNKNOWN_YET, SIDERO_SIDEROLINK_SECRET_INVALID */
  async ask(): Promise<KnownInstallation> {
    if (this.#known) return this.#known;
    const keys = await readKeys(this.#sidero.resources);
    if (!keys) throw failure('SIDERO_SIDEROLINK_UNKNOWN_YET', {});
    return this.#installationOf(keys);
  }

  /** Reads or makes the Secret, then looks after it until `signal` aborts. @throws SIDERO_SIDEROLINK_SECRET_INVALID, SIDERO_SIDEROLINK_SECRET_MISSING */
  async keep(signal: AbortSignal, ready: () => void): Promise<void> {
    this.#known = this.#installationOf(await firstAnswer({ ...this.#sidero, signal }));
    this.#first.resolve(this.#known);
    ready();
    while (!signal.aborted) {
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await this.look();
    }
  }

  /** Calls `onChange` whenever another Secret takes the place of the one that was known, until `signal` aborts. */
  watch(onChange: (known: KnownInstallation) => void, signal: AbortSignal): void {
    this.#onChange.add(onChange);
    signal.addEventListener('abort', () => this.#onChange.delete(onChange), { once: true });
  }

  /** Looks at the Secret now. */
  async look(): Promise<void> {
    try {
      const keys = await readKeys(this.#sidero.resources);
      if (!keys) return this.#tell('is gone; machines stay connected until this process ends, and then none is: restore it from a backup');
      if (this.#problem !== undefined) void this.#record('The Secret is as it should be again.', 'Normal');
      this.#problem = undefined;
      if (keys.id !== this.#known?.id || keys.privateKey !== this.#known.privateKey) this.#replace(keys);
    } catch (thrown) {
      // An API that is away says nothing of the Secret.
      if (hasCode(thrown, 'SIDERO_SIDEROLINK_SECRET_INVALID')) this.#tell(`became invalid (${messageOf(thrown)}); the one before stays in use`);
    }
  }

  #replace(keys: InstallationKeys): void {
    this.#known = this.#installationOf(keys);
    const { subnet, publicKey } = this.#known;
    this.#sidero.log.warn(
      { subnet, publicKey },
      'the Secret default/siderolink is another one (a move?): the tunnel is made anew with it, and machines join again',
    );
    void this.#record('Another Secret took the place of the one before; the tunnel is made anew with it, and machines join again.');
    for (const told of this.#onChange) told(this.#known);
  }

  #tell(problem: string): void {
    if (this.#problem !== problem) void this.#record(`The Secret ${problem}.`);
    this.#problem = problem;
    this.#sidero.log.error({ secret: `${SECRET_REF.namespace}/${SECRET_REF.name}` }, `the SideroLink Secret ${problem}`);
  }

  #record(message: string, type: 'Normal' | 'Warning' = 'Warning'): Promise<void> {
    const about = { apiVersion: 'v1', kind: SecretKind.kind, metadata: SECRET_REF };
    return this.#sidero.resources.record(about, { type, reason: SECRET_REASON, message });
  }

  #installationOf(keys: InstallationKeys): KnownInstallation {
    const network = this.#networkOf(keys);
    return { ...keys, publicKey: publicKeyOf(keys.privateKey), subnet: network.subnet, serverAddress: network.server, network };
  }
}

// The API may not answer yet; the Secret's own faults end the process.
async function firstAnswer({
  resources,
  log,
  signal,
}: {
  resources: ResourceClient;
  log: Sidero['log'];
  signal: AbortSignal;
}): Promise<InstallationKeys> {
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5000)) {
    try {
      return await orAborted(readOrMakeKeys(resources), signal);
    } catch (thrown) {
      const isFinal = hasCode(thrown, 'SIDERO_SIDEROLINK_SECRET_INVALID') || hasCode(thrown, 'SIDERO_SIDEROLINK_SECRET_MISSING');
      if (signal.aborted || isFinal) throw thrown;
      log.warn({ problem: messageOf(thrown) }, 'the Secret default/siderolink could not be read yet');
      await delay(waitMs, undefined, { signal });
    }
  }
}
