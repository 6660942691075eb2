import { setTimeout as delay } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import {
  AddressEventSchema,
  PhaseEvent_Action,
  PhaseEventSchema,
  ProvisionService,
  SequenceError_Code,
  SequenceEvent_Action,
  SequenceEventSchema,
  ServiceStateEvent_Action,
  ServiceStateEventSchema,
} from '@sidero/plugin-siderolink/protocol';
import { Agent, request } from 'undici';
import { kernelArgument } from '../machine/agent.ts';
import type { States } from '../machine/state.ts';
import { messageOf } from '@sidero/core';
import { EventSender } from './event-sender.ts';
import { KernelLog } from './kernel-log.ts';
import { type LinkSettings, linkSettingsOfArgs, linkSettingsOfConfig } from './link-settings.ts';
import { UnaryChannel } from './unary-call.ts';

/** What Talos leaves on a disk. */
export interface InstalledTalos {
  readonly config: string;
  /** What it tells itself apart by from another machine with its UUID. */
  readonly uniqueToken: string;
}

/** One boot of Talos on a simulated machine. */
export interface TalosRun {
  readonly uuid: string;
  readonly name: string;
  /** Arguments of its kernel; from disk there are none that matter. */
  readonly args: readonly string[];
  /** What is on the disk; undefined: nothing, so it installs itself. */
  readonly installed: InstalledTalos | undefined;
  readonly address: string;
  readonly states: States;
  /** Multiplies every pause. */
  readonly timeFactor: number;
  readonly signal: AbortSignal;
}

const VERSION = 'v1.13.0';
const INSTALL_PHASES = ['env', 'install', 'meta', 'saveMeta', 'volumeFinalize', 'stopEverything', 'kexec', 'reboot'];
const BOOT_PHASES = ['saveStateEncryptionConfig', 'env', 'dbus', 'legacyCleanup', 'startEverything'];
const PHASE_MS = 150;
const RETRY_MS = 1000;
/** What a machine without SideroLink writes its log and events to is read by nobody. */
const BEAT_MS = 5000;

/**
 * Boots Talos as far as a management plane sees it: it joins SideroLink, gets its configuration, installs itself, and tells all of it in events
 * and in its kernel log. Gives what is on the disk when it is to boot anew; from disk it runs until the signal aborts.
 * @throws the reason of the signal
 */
export async function runTalos(run: TalosRun): Promise<InstalledTalos> {
  const boot = new TalosBoot(run);
  return await boot.run();
}

class TalosBoot {
  readonly #run: TalosRun;
  readonly #log = new KernelLog();
  readonly #events = new EventSender();
  readonly #uniqueToken: string;

  constructor(run: TalosRun) {
    this.#run = run;
    this.#uniqueToken = run.installed?.uniqueToken ?? randomBytes(16).toString('base64');
  }

  async run(): Promise<InstalledTalos> {
    const { installed, args } = this.#run;
    const settings = installed ? linkSettingsOfConfig(installed.config) : linkSettingsOfArgs(args);
    const streams = settings ? this.#stream(settings) : undefined;
    // It ends with the machine's power, as everything else; what it ran into shows in the state.
    streams?.catch(() => undefined);
    this.#say(`Talos ${VERSION}, ${installed ? 'from disk' : 'from the network'}`);
    this.#sequence('initialize', SequenceEvent_Action.START);
    this.#sequence('initialize', SequenceEvent_Action.STOP);
    return installed ? await this.#runFromDisk() : await this.#install();
  }

  async #install(): Promise<InstalledTalos> {
    const { states, name } = this.#run;
    const config = await this.#config();
    states.enter('installing');
    await this.#go('install', INSTALL_PHASES.slice(0, -1));
    this.#say(`installation of ${name} complete, rebooting`);
    const error = { code: SequenceError_Code.FATAL, message: 'sequence failed: error running phase 8 in install sequence: unix.Reboot(1234567)' };
    this.#events.tell(SequenceEventSchema, { sequence: 'install', action: SequenceEvent_Action.NOOP, error });
    await this.#pause(PHASE_MS);
    return { config, uniqueToken: this.#uniqueToken };
  }

  async #runFromDisk(): Promise<never> {
    const { states, signal, address, name } = this.#run;
    this.#sequence('install', SequenceEvent_Action.START);
    this.#sequence('install', SequenceEvent_Action.STOP);
    this.#events.tell(AddressEventSchema, { hostname: `talos-${name}`, addresses: [address] });
    await this.#go('boot', BOOT_PHASES);
    this.#events.tell(ServiceStateEventSchema, {
      service: 'kubelet',
      action: ServiceStateEvent_Action.RUNNING,
      message: 'Health check successful',
      health: { healthy: true },
    });
    states.enter('running');
    for (;;) {
      await delay(BEAT_MS * this.#run.timeFactor, undefined, { signal });
      this.#say('service[kubelet](Running): Health check successful');
    }
  }

  async #config(): Promise<string> {
    const { args, uuid, states, signal, timeFactor } = this.#run;
    const url = kernelArgument(args, 'talos.config');
    states.enter('configuring');
    if (!url) await new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    const target = new URL(url!);
    if (target.searchParams.get('uuid') === '') target.searchParams.set('uuid', uuid);
    const agent = new Agent();
    try {
      for (;;) {
        const answer = await request(target, { dispatcher: agent, signal }).catch((thrown: unknown) => ({ thrown }));
        const text = 'thrown' in answer ? messageOf(answer.thrown) : await answer.body.text();
        if (!('thrown' in answer) && answer.statusCode === 200) return text;
        this.#say(`download of the configuration failed, retrying: ${text.slice(0, 100).trim()}`);
        states.enter('configuring', { waitMs: RETRY_MS * timeFactor, detail: text.slice(0, 100).trim() });
        await this.#pause(RETRY_MS);
      }
    } finally {
      await agent.destroy();
    }
  }

  /** Joins, then sends whatever there is to send, until the power goes. */
  async #stream({ api, joinToken, events, logs }: LinkSettings): Promise<void> {
    const { signal } = this.#run;
    const from = await this.#join(api, joinToken);
    await Promise.all([logs && this.#log.send(logs, from, signal), events && this.#events.send(events, from, signal)]);
  }

  /** The address that the machine has in the tunnel. */
  async #join(api: string, joinToken: string): Promise<string> {
    const { uuid, address, signal } = this.#run;
    const nodePublicKey = randomBytes(32).toString('base64');
    for (;;) {
      signal.throwIfAborted();
      try {
        await using channel = new UnaryChannel(api, address);
        const asked = { nodeUuid: uuid, nodePublicKey, joinToken, nodeUniqueToken: this.#uniqueToken, talosVersion: VERSION };
        const { nodeAddressPrefix } = await channel.call(ProvisionService.method.provision, asked, signal);
        return nodeAddressPrefix.split('/', 1)[0]!;
      } catch {
        await this.#pause(RETRY_MS);
      }
    }
  }

  async #go(sequence: string, phases: readonly string[]): Promise<void> {
    this.#sequence(sequence, SequenceEvent_Action.START);
    for (const [index, phase] of phases.entries()) {
      this.#say(`phase ${phase} (${index + 1}/${phases.length}): 1 tasks(s)`);
      this.#events.tell(PhaseEventSchema, { phase, action: PhaseEvent_Action.START });
      await this.#pause(PHASE_MS);
      this.#events.tell(PhaseEventSchema, { phase, action: PhaseEvent_Action.STOP });
    }
    this.#sequence(sequence, SequenceEvent_Action.STOP);
  }

  #sequence(sequence: string, action: SequenceEvent_Action): void {
    this.#events.tell(SequenceEventSchema, { sequence, action });
  }

  #say(text: string): void {
    this.#log.write(text);
  }

  async #pause(milliseconds: number): Promise<void> {
    const { timeFactor, signal } = this.#run;
    await delay(milliseconds * timeFactor, undefined, { signal });
  }
}
