import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { ResourceClient } from '../resources/client.ts';
import type { Ref } from '../resources/kinds.ts';
import { readBootKey } from './boot-key.ts';

/** What a token is for: its machine's configuration, or joining SideroLink. */
export type TokenPurpose = 'config' | 'join';

/** A server and the MetalMachine it is bound to. */
export interface BoundMachine {
  /** The Server's name. */
  readonly uuid: string;
  readonly metalMachine: Ref;
}

/**
 * Proofs that whoever asks is the machine that a MetalMachine got. They hold as long as the binding does, over reboots, restarts of ours and
 * moves to another cluster; nobody can guess one from a UUID.
 */
export interface MachineTokens {
  /** 43 characters of base64url: safe in a URL and in a kernel argument. */
  sign(purpose: TokenPurpose, bound: BoundMachine): Promise<string>;
  check(purpose: TokenPurpose, bound: BoundMachine, token: string): Promise<boolean>;
}

// A move from another cluster brings that cluster's key under a manager that runs: no token may be signed with the old one long after, nor
// one of the new key be refused.
const KEY_SIGNS_MS = 10_000;
const KEY_REFUSES_MS = 1000;

/** Tokens signed with the key of this installation, which is read from the API when it is needed. `now` is a monotonic clock in ms. */
export function createMachineTokens(resources: ResourceClient, now: () => number = () => performance.now()): MachineTokens {
  let kept: { readonly key: Promise<KeyObject>; readonly atMs: number } | undefined;
  const keyNoOlderThan = (maxMs: number): Promise<KeyObject> => {
    if (kept && now() - kept.atMs < maxMs) return kept.key;
    const reading = { key: readBootKey(resources).then((key) => createSecretKey(key)), atMs: now() };
    kept = reading;
    // A failure is not kept: the next caller tries again.
    reading.key.catch(() => {
      if (kept === reading) kept = undefined;
    });
    return reading.key;
  };
  const isMac = (token: string, mac: Buffer) => timingSafeEqual(Buffer.from(token, 'base64url'), mac);
  return {
    sign: async (purpose, bound) => macOf(await keyNoOlderThan(KEY_SIGNS_MS), purpose, bound).toString('base64url'),
    async check(purpose, bound, token) {
      if (!/^[\w-]{43}$/.test(token)) return false;
      if (isMac(token, macOf(await keyNoOlderThan(Number.POSITIVE_INFINITY), purpose, bound))) return true;
      return isMac(token, macOf(await keyNoOlderThan(KEY_REFUSES_MS), purpose, bound));
    },
  };
}

function macOf(key: KeyObject, purpose: TokenPurpose, { uuid, metalMachine: { namespace = '', name } }: BoundMachine): Buffer {
  return createHmac('sha256', key).update([purpose, uuid, namespace, name].join('\0')).digest();
}
