import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { failure, messageOf, type PowerDriver, type Server } from '@sidero/core';
import { isMac, magicPacket } from './magic-packet.ts';

/** Annotation of a Server: which cards to wake. A MAC address, several separated by commas, or `true`: all that the machine reported. */
export const WAKE_ANNOTATION = 'metal.sidero.dev/wake-on-lan';

/** Where magic packets go. */
export interface WakeOnLanOptions {
  readonly broadcast: readonly string[];
  readonly port: number;
}

const DRIVER = 'wake-on-lan';
// Nobody acknowledges a magic packet, and a link that wakes up itself loses the first.
const ROUNDS = 3;
const PAUSE_MS = 100;

/** Turns machines on, and only that. Nothing tells whether it worked: the network boot that follows does. */
export function wakeOnLanDriver(options: WakeOnLanOptions): PowerDriver {
  return {
    name: DRIVER,
    needsLogin: false,
    claims: (server) => wishOf(server) !== '',
    async open(server) {
      const macs = macsOf(server);
      const about = { server: server.metadata.name, driver: DRIVER, device: macs.join(', ').slice(0, 100) || 'no card' };
      const wrong = wrongIn(macs);
      if (wrong) throw failure('SIDERO_BMC_UNSUPPORTED', { ...about, problem: wrong });
      return {
        async on(signal) {
          try {
            await wake(macs, options, signal);
          } catch (thrown) {
            signal.throwIfAborted();
            throw failure('SIDERO_BMC_UNREACHABLE', { ...about, problem: `the packet could not be sent: ${messageOf(thrown)}`, cause: thrown });
          }
        },
        [Symbol.asyncDispose]: async () => {},
      };
    },
  };
}

/** What the annotation says; empty when there is none, or it says no. */
function wishOf(server: Server): string {
  const wish = server.metadata.annotations?.[WAKE_ANNOTATION]?.trim() ?? '';
  return wish === 'false' ? '' : wish;
}

/** The addresses to wake, as they are written. */
function macsOf(server: Server): readonly string[] {
  const wish = wishOf(server);
  if (wish !== 'true') return wish.split(',').map((mac) => mac.trim());
  return (server.spec?.hardware?.network?.interfaces ?? []).flatMap(({ mac }) => (mac && isMac(mac) ? [mac] : []));
}

function wrongIn(macs: readonly string[]): string | undefined {
  if (macs.length === 0) return 'the machine reported no card with a MAC address';
  const wrong = macs.find((mac) => !isMac(mac));
  return wrong === undefined ? undefined : `annotation ${WAKE_ANNOTATION}: "${wrong.slice(0, 40)}" is neither a MAC address nor "true"`;
}

async function wake(macs: readonly string[], { broadcast, port }: WakeOnLanOptions, signal: AbortSignal): Promise<void> {
  const packets = macs.map(magicPacket);
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) await pause(PAUSE_MS, undefined, { signal });
    for (const address of broadcast) await send(packets, { address, port }, signal);
  }
}

async function send(packets: readonly Buffer[], to: { readonly address: string; readonly port: number }, signal: AbortSignal): Promise<void> {
  const isSix = isIPv6(to.address);
  const socket = createSocket(isSix ? 'udp6' : 'udp4');
  try {
    socket.bind();
    await once(socket, 'listening', { signal });
    if (!isSix) socket.setBroadcast(true);
    for (const packet of packets) {
      await new Promise<void>((resolve, reject) => {
        socket.send(packet, to.port, to.address, (error) => (error ? reject(error) : resolve()));
      });
    }
  } finally {
    socket.close();
  }
}
