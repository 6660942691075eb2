import type { AgentClient } from '@sidero/plugin-agent/protocol';
import { randomInt } from 'node:crypto';
import { BmcRefusal, type LocalBmc, localBmc } from './bmc-commands.ts';
import { type BmcLan, findLan, obstacleOn } from './bmc-lan.ts';
import { setUpUser } from './bmc-user.ts';
import { type Machine, StageFailure } from './machine.ts';
import { wordsOf } from './words.ts';

const STAGE = 'bmc';
const DEFAULT_USER = 'sidero';
const CALL_TIMEOUT_MS = 30_000;
/** After a failure; doubles with each, because every try writes to the memory of the BMC, which wears out. */
const FIRST_PAUSE_MS = 20_000;
const LONGEST_PAUSE_MS = 60 * 60_000;

/** What a set-up works with. */
export interface BmcSetupOptions {
  readonly machine: Machine;
  readonly uuid: string;
  readonly client: Pick<AgentClient, 'updateBMCInfo'>;
  /** Who is called, for messages. */
  readonly target: string;
  /** Repeats a call of the management plane, for as long as calls are. @throws StageFailure */
  readonly retried: <T>(call: () => Promise<T>) => Promise<T>;
  /** Tells the management plane what went wrong, if it can be told. */
  readonly report: (failure: StageFailure) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Makes a login on the BMC of this machine; an empty `user` is "sidero". May be called at every registration. */
export type BmcSetup = (user: string) => Promise<void>;

interface Login {
  readonly user: string;
  readonly pass: string;
}

/**
 * The set-up of one run of the agent. It first tells where the BMC is, so that nothing is changed on it while nobody listens; then makes
 * the login, and tells it until that is confirmed. A login that could not be told is told at the next call; one that died with the machine
 * is replaced when the set-up is asked for again. No failure ends it: it is said, told to the management plane once, and the next call
 * tries again, more and more slowly.
 */
export function bmcSetup(options: BmcSetupOptions): BmcSetup {
  const { machine, signal, report } = options;
  const bmc = localBmc(machine, signal);
  let untold: Login | undefined;
  let failures = 0;
  let notBefore = 0;
  const told = new Set<string>();

  async function setUp(user: string): Promise<void> {
    const lan = await findLan(bmc);
    await tellAddress(options, lan);
    untold = untold?.user === user ? untold : await makeLogin(bmc, lan, user);
    const login = untold;
    await options.retried(() => tell(options, lan, login));
    untold = undefined;
    machine.say(`the BMC at ${lan.ip} has the user ${user} now`);
    const obstacle = await obstacleOn(bmc, lan.channel);
    if (obstacle) throw new StageFailure(STAGE, `${obstacle}: the user ${user} cannot log in from outside until its set-up allows that`);
  }

  async function failed(thrown: unknown): Promise<void> {
    const isQuiet = thrown instanceof BmcRefusal && thrown.isQuiet;
    const words = thrown instanceof Error ? thrown.message : String(thrown);
    if (told.has(words)) return;
    told.add(words);
    machine.say(`the BMC is not set up: ${words}`, isQuiet ? 'info' : 'error');
    if (!isQuiet) await report(new StageFailure(STAGE, words, { cause: thrown }));
  }

  return async (user) => {
    if (machine.now() < notBefore) return;
    try {
      await setUp(user || DEFAULT_USER);
      failures = 0;
    } catch (thrown) {
      signal.throwIfAborted();
      notBefore = machine.now() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++);
      await failed(thrown);
    }
  };
}

async function makeLogin(bmc: LocalBmc, { channel }: BmcLan, user: string): Promise<Login> {
  const login = { user, pass: newPassword() };
  await setUpUser(bmc, { ...login, channel });
  return login;
}

const SYMBOLS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const PASSWORD_LENGTH = 16;

/** 16 characters, each equally likely to be any of 62. */
export function newPassword(): string {
  return Array.from({ length: PASSWORD_LENGTH }, () => SYMBOLS[randomInt(SYMBOLS.length)]).join('');
}

async function tellAddress(options: BmcSetupOptions, lan: BmcLan): Promise<void> {
  try {
    await tell(options, lan);
  } catch (thrown) {
    options.signal.throwIfAborted();
    throw new StageFailure(STAGE, wordsOf(thrown, options.target), { cause: thrown });
  }
}

// The address goes with the login, too: the original's server sets the port back when it is told none.
function tell({ client, uuid, signal }: BmcSetupOptions, { ip, port }: BmcLan, login?: Login): Promise<unknown> {
  return client.updateBMCInfo({ uuid, bmcInfo: { ip, port, ...login } }, { timeoutMs: CALL_TIMEOUT_MS, signal });
}
