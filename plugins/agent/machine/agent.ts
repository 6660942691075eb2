import type { AgentClient, CreateServerResponse } from '@sidero/plugin-agent/protocol';
import { bmcFacts } from './bmc.ts';
import { type BmcSetup, bmcSetup } from './bmc-setup.ts';
import { loadDrivers, loadIpmiDrivers } from './drivers.ts';
import { inventory, readSmbios } from './inventory.ts';
import { type KernelArgs, parseKernelArgs } from './kernel-args.ts';
import { reachableAddresses } from './links.ts';
import { type Machine, StageFailure } from './machine.ts';
import { bringUpNetwork } from './network.ts';
import { type Smbios, systemUuid } from './smbios.ts';
import { describesBmc } from './smbios-facts.ts';
import { planOf, runWipe, WIPE_CAPABILITIES } from './wipe/wipe.ts';
import { wasAnswered, wordsOf } from './words.ts';

/** What this agent can do when it is told to; see agent.proto. */
export const CAPABILITIES: readonly string[] = [...WIPE_CAPABILITIES, 'bmc-setup'];

const CALL_TIMEOUT_MS = 30_000;
const RETRY_PAUSE_MS = 30_000;
const GIVE_UP_MS = 5 * 60_000;
/** Between two looks for something to do; short enough that an accepted machine does not seem to hang. */
const IDLE_MS = 20_000;
const IDLE_JITTER_MS = 10_000;
const IDLE_LIMIT_MS = 2 * 60_000;
/** How long nothing may move in a wipe, when nobody says: the default of the management plane's reboot timeout. */
const STALL_MS = 20 * 60_000;

/** How the agent reaches the management plane. */
export interface AgentOptions {
  readonly version: string;
  readonly connect: (target: string, token: string | undefined) => AgentClient;
  readonly signal: AbortSignal;
}

/** One run: the machine, and who it is. */
interface Run extends AgentOptions {
  readonly machine: Machine;
  readonly args: KernelArgs & { readonly endpoint: string };
  readonly uuid: string;
  readonly client: AgentClient;
  /** The inventory as it is now. */
  readonly hardware: () => ReturnType<typeof inventory>;
  readonly setUpBmc: BmcSetup;
}

/**
 * The whole work on the machine: drivers, network, registration, then waiting. Returns when the machine is to boot again, with the
 * reason in words.
 *
 * @throws StageFailure when it cannot go on; the management plane has been told if it could be
 */
export async function runAgent(machine: Machine, options: AgentOptions): Promise<string> {
  const { signal } = options;
  const args = parseKernelArgs(machine.text('/proc/cmdline') ?? '');
  const { endpoint } = args;
  if (!endpoint) throw new StageFailure('kernel arguments', 'no endpoint found: sidero.endpoint=HOST:PORT is missing on the kernel command line');
  if (!args.mac) machine.say('no MAC found: sidero.mac is missing on the kernel command line, any link will do');
  const smbios = readSmbios(machine);
  const uuid = systemUuid(smbios) ?? '';
  machine.say(`this is server ${uuid}`);
  const [bmc] = await Promise.all([
    findHardware(machine, smbios, signal),
    bringUpNetwork(machine, { mac: args.mac, host: hostOf(endpoint) }, signal),
  ]);
  using client = options.connect(endpoint, args.token);
  const hardware = () => inventory(machine, smbios, bmc);
  const setUpBmc = bmcSetup({
    machine,
    uuid,
    client,
    signal,
    target: endpoint,
    retried: (call) => retried(run, 'bmc', call),
    report: (failure) => reportFailure(run, failure),
  });
  const run: Run = { ...options, machine, args: { ...args, endpoint }, uuid, client, hardware, setUpBmc };
  try {
    return await work(run);
  } catch (thrown) {
    if (thrown instanceof StageFailure) await reportFailure(run, thrown);
    throw thrown;
  }
}

/** Loads every driver there is a device for; what the local BMC says of itself. */
async function findHardware(machine: Machine, smbios: Smbios, signal: AbortSignal): ReturnType<typeof bmcFacts> {
  await loadDrivers(machine, signal);
  if (!describesBmc(smbios)) return { present: false };
  await loadIpmiDrivers(machine);
  return bmcFacts(machine, signal);
}

async function work(run: Run): Promise<string> {
  const first = await retried(run, 'register', () => register(run));
  const told = reachableAddresses(run.machine, run.args.mac);
  await retried(run, 'addresses', () => tellAddresses(run, told));
  return wait(run, { first, told });
}

function register({ client, hardware, machine, version, signal }: Run): Promise<CreateServerResponse> {
  // What the kernel calls itself while nobody has named it.
  const hostname = (machine.text('/proc/sys/kernel/hostname') ?? '').replace('(none)', '');
  const request = { hardware: hardware(), hostname, capabilities: [...CAPABILITIES], agentVersion: version };
  return client.createServer(request, { timeoutMs: CALL_TIMEOUT_MS, signal });
}

function tellAddresses({ client, uuid, signal }: Run, addresses: readonly string[]): Promise<unknown> {
  const address = addresses.map((one) => ({ type: 'InternalIP', address: one }));
  return client.reconcileServerAddresses({ uuid, address }, { timeoutMs: CALL_TIMEOUT_MS, signal });
}

/** Every 30 s for 5 min; a reason is said when it is a new one. */
async function retried<T>({ machine, args, signal }: Run, stage: string, call: () => Promise<T>): Promise<T> {
  const startedAt = machine.now();
  let said = '';
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      signal.throwIfAborted();
      const words = wordsOf(thrown, args.endpoint);
      if (machine.now() - startedAt + RETRY_PAUSE_MS > GIVE_UP_MS) throw new StageFailure(stage, words, { cause: thrown });
      if (words !== said) machine.say(`retrying error: ${words}`, 'error');
      said = words;
    }
    await machine.pause(RETRY_PAUSE_MS, signal);
  }
}

/**
 * Registers again and again, which keeps the token alive, the inventory fresh, and tells when there is work. Silence of the management
 * plane is borne, more and more slowly; a refusal that lasts is not, as only another boot can bring another token.
 */
async function wait(run: Run, from: { first: CreateServerResponse; told: readonly string[] }): Promise<string> {
  const { machine, signal, args } = run;
  let { first: answer, told } = from;
  let refusedSince: number | undefined;
  let said = '';
  const say = (line: string, level?: 'error') => {
    if (line !== said) machine.say(line, level);
    said = line;
  };
  for (let failures = 0; ; ) {
    if (failures === 0) say(stateOf(run.uuid, answer));
    // After a wipe, not before: the machine may be switched off as soon as its BMC can be reached.
    if (failures === 0 && answer.setupBmc && !answer.wipe) await run.setUpBmc(answer.bmcUser);
    if (answer.reboot) return 'the management plane has something else to boot for this machine';
    const isWiped = failures === 0 && answer.wipe && (await wipe(run, answer));
    // After a wipe there is news at once.
    if (!isWiped) await machine.pause(Math.min(IDLE_LIMIT_MS, IDLE_MS * 2 ** failures) + Math.random() * IDLE_JITTER_MS, signal);
    try {
      answer = await register(run);
      const addresses = reachableAddresses(machine, args.mac);
      if (addresses.join() !== told.join()) await tellAddresses(run, addresses);
      told = addresses;
      failures = 0;
      refusedSince = undefined;
    } catch (thrown) {
      signal.throwIfAborted();
      failures += 1;
      const words = wordsOf(thrown, args.endpoint);
      say(words, 'error');
      refusedSince = wasAnswered(thrown) ? (refusedSince ?? machine.now()) : undefined;
      if (refusedSince !== undefined && machine.now() - refusedSince > GIVE_UP_MS) throw new StageFailure('register', words, { cause: thrown });
    }
  }
}

function wipe({ machine, client, uuid, args, signal }: Run, answer: CreateServerResponse): Promise<boolean> {
  const stallMs = answer.rebootTimeout > 0 ? answer.rebootTimeout * 1000 : STALL_MS;
  return runWipe({ machine, client, uuid, target: args.endpoint, signal }, { plan: planOf(answer), stallMs });
}

function stateOf(uuid: string, answer: CreateServerResponse): string {
  if (!answer.accepted) return `registered; waiting to be accepted: kubectl patch server ${uuid} --type merge -p '{"spec":{"accepted":true}}'`;
  if (answer.hold !== '') return `accepted, waiting; nothing is wiped: ${answer.hold}`;
  if (answer.wipe) return 'accepted, told to wipe';
  return 'accepted, waiting for work';
}

async function reportFailure({ client, uuid, machine, args }: Run, { stage, message }: StageFailure): Promise<void> {
  try {
    await client.reportFailure({ uuid, stage, message }, { timeoutMs: 5000 });
  } catch (thrown) {
    machine.say(`the management plane could not be told: ${wordsOf(thrown, args.endpoint)}`, 'error');
  }
}

/** The host in `host:port`, without brackets. */
function hostOf(endpoint: string): string {
  return endpoint.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
