import type { IpmiRequest, Machine } from './machine.ts';

/** Requests to the local BMC, as IPMI 2.0 numbers them (appendix G). */
export const getDeviceId: IpmiRequest = { netFn: 0x06, command: 0x01, data: [] };
export const getChannelInfo = (channel: number): IpmiRequest => app(0x42, [channel]);
/** What is in force now, not what is stored. */
export const getChannelAccess = (channel: number): IpmiRequest => app(0x41, [channel, 0x80]);
/** `set` picks one of several values, where a parameter has several. */
export const getLanParameter = (channel: number, parameter: number, set = 0): IpmiRequest => ({
  netFn: 0x0c,
  command: 0x02,
  data: [channel, parameter, set, 0],
});
export const getUserAccess = (channel: number, id: number): IpmiRequest => app(0x44, [channel, id]);
export const getUserName = (id: number): IpmiRequest => app(0x46, [id]);
export const setUserName = (id: number, name: string): IpmiRequest => app(0x45, [id, ...padded(name, 16)]);
/** IPMI messaging as administrator on this channel, without a limit of sessions. */
export const setAdministrator = (channel: number, id: number): IpmiRequest => app(0x43, [0x90 | channel, id, 0x04, 0]);
export const enableUser = (id: number): IpmiRequest => app(0x47, [id, 0x01]);

/** A password in the 16-byte form of IPMI 1.5, or in the 20-byte form that 2.0 added. */
export interface PasswordOf {
  readonly id: number;
  readonly pass: string;
  readonly bytes: 16 | 20;
}

export const setPassword = (given: PasswordOf): IpmiRequest => password(given, 0x02);
/** Answered 80h when it is another one, 81h when it is stored in the other form. */
export const testPassword = (given: PasswordOf): IpmiRequest => password(given, 0x03);

function password({ id, pass, bytes }: PasswordOf, operation: number): IpmiRequest {
  return app(0x47, [bytes === 20 ? 0x80 | id : id, operation, ...padded(pass, bytes)]);
}

const app = (command: number, data: readonly number[]): IpmiRequest => ({ netFn: 0x06, command, data });

function padded(text: string, length: number): number[] {
  const bytes = [...Buffer.from(text, 'ascii')].slice(0, length);
  return [...bytes, ...Array.from({ length: length - bytes.length }, () => 0)];
}

/** A BMC said no (`code` is its completion code), or nothing, or something that cannot be. The message names the command. */
export class BmcRefusal extends Error {
  /** IPMI completion code; undefined when the BMC did not answer, or its answer makes no sense. */
  readonly code: number | undefined;
  /** There is no BMC to be set up here, or it does not offer what is needed: nothing that anybody could put right. */
  readonly isQuiet: boolean;

  constructor(message: string, given: { readonly code?: number; readonly isQuiet?: boolean } = {}) {
    super(message);
    this.name = 'BmcRefusal';
    this.code = given.code;
    this.isQuiet = given.isQuiet ?? given.code === UNKNOWN_COMMAND;
  }
}

const UNKNOWN_COMMAND = 0xc1;
const TRIES = 4;
const BUSY_PAUSE_MS = 1000;
/** Busy, timed out, still starting. */
const BUSY: ReadonlySet<number> = new Set([0xc0, 0xc3, 0xd2]);

/** IPMI 2.0, table 5-2. */
const COMPLETION_CODES: Readonly<Record<number, string>> = {
  0xc0: 'it is busy',
  0xc1: 'it does not know this command',
  0xc2: 'it does not know this command on this LUN',
  0xc3: 'it took too long',
  0xc4: 'it is out of space',
  0xc7: 'wrong length of the request',
  0xc8: 'too long',
  0xc9: 'a parameter is out of range',
  0xcb: 'there is no such thing',
  0xcc: 'invalid data in the request',
  0xce: 'it could not make an answer',
  0xd1: 'its firmware is being updated',
  0xd2: 'it is still starting',
  0xd3: 'the destination is not available',
  0xd4: 'its firmware firewall or a privilege forbids it',
  0xd5: 'not in its present state',
  0xd6: 'the function is disabled',
  0xff: 'unspecified error',
};

/** The BMC of this machine. */
export interface LocalBmc {
  /** The data of its answer, without completion code; asks again while it is busy. @throws BmcRefusal, or the signal's reason */
  readonly ask: (command: string, request: IpmiRequest) => Promise<readonly number[]>;
  /** A remark for the console. */
  readonly note: (line: string) => void;
}

/** The BMC behind /dev/ipmi0. */
export function localBmc(machine: Machine, signal: AbortSignal): LocalBmc {
  return {
    note: (line) => machine.say(line),
    async ask(command, request) {
      for (let tries = 1; ; tries++) {
        signal.throwIfAborted();
        const reply = await machine.ipmi(request);
        if (reply === undefined) throw silence(machine, command);
        const [code = 0xff, ...data] = reply;
        if (code === 0) return data;
        if (!BUSY.has(code) || tries === TRIES) throw refusal(command, code);
        await machine.pause(BUSY_PAUSE_MS, signal);
      }
    },
  };
}

function silence(machine: Machine, command: string): BmcRefusal {
  if (!machine.list('/dev').includes('ipmi0')) return new BmcRefusal('this machine has no BMC that it can talk to', { isQuiet: true });
  return new BmcRefusal(`${command}: the BMC does not answer`);
}

function refusal(command: string, code: number): BmcRefusal {
  const words = COMPLETION_CODES[code];
  return new BmcRefusal(`${command}: the BMC refuses with ${code.toString(16).padStart(2, '0')}h${words ? ` (${words})` : ''}`, { code });
}

/** Runs a request whose refusal is an answer too: undefined then. Silence, and a busy BMC, still throw. */
export async function unlessRefused<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (thrown) {
    if (thrown instanceof BmcRefusal && thrown.code !== undefined && !BUSY.has(thrown.code)) return undefined;
    throw thrown;
  }
}
