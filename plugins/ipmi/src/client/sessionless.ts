import { isCommand, type Command } from '../wire/commands.ts';
import { decodeResponse, encodeRequest, type IpmiResponse } from '../wire/lan-message.ts';
import { AUTH_TYPE, encodePlain } from '../wire/session-packet.ts';
import type { Exchange, Packet } from './exchange.ts';

/** A request outside of any session, in the form of IPMI 1.5 that all BMCs take. */
export interface SessionlessRequest {
  readonly command: Command;
  readonly data: Uint8Array;
  readonly waitsMs: readonly number[];
  readonly signal: AbortSignal;
}

/** The answer; undefined when none came. */
export function askSessionless(exchange: Exchange, { command, data, waitsMs, signal }: SessionlessRequest): Promise<IpmiResponse | undefined> {
  const sequence = Math.floor(Math.random() * 64);
  const payload = encodeRequest({ ...command, data, sequence });
  return exchange.ask({
    packet: () => encodePlain({ authType: AUTH_TYPE.none, sequence: 0, sessionId: 0, payload }),
    read: (packet: Packet) => {
      if (packet.version !== '1.5' || packet.sessionId !== 0) return 'other-session';
      const response = decodeResponse(packet.payload);
      return isCommand(response, command) && response.sequence === sequence ? { answer: response } : 'unexpected';
    },
    waitsMs,
    signal,
  });
}
