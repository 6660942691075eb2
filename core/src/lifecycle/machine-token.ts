import { createHmac, timingSafeEqual } from 'node:crypto';
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

/** Tokens signed with the key of this installation, which is read from the API when it is first needed. */
export function createMachineTokens(resources: ResourceClient): MachineTokens {
  let key: Promise<Uint8Array> | undefined;
  // A failure is not kept: the next caller tries again.
  const readKey = () =>
    (key ??= readBootKey(resources).catch((thrown: unknown) => {
      key = undefined;
      throw thrown;
    }));
  const macOf = async (purpose: TokenPurpose, { uuid, metalMachine }: BoundMachine) => {
    const { namespace = '', name } = metalMachine;
    return createHmac('sha256', await readKey())
      .update([purpose, uuid, namespace, name].join('\0'))
      .digest();
  };
  return {
    sign: async (purpose, bound) => (await macOf(purpose, bound)).toString('base64url'),
    async check(purpose, bound, token) {
      if (!/^[\w-]{43}$/.test(token)) return false;
      return timingSafeEqual(Buffer.from(token, 'base64url'), await macOf(purpose, bound));
    },
  };
}
