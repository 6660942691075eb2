import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { CipherSuite } from '@sidero/plugin-ipmi/protocol';
import { type Random, seededRandom } from '../../random.ts';
import { deliveries, type Delivery } from '../faults.ts';
import { SimulatedBmc, type SimulatedBmcOptions } from '../simulated-bmc.ts';
import { AUTH_TYPE_BITS } from './ipmi15-login.ts';
import { LanParameters } from './lan-parameters.ts';
import { type CommandRecord, IpmiResponder } from './responder.ts';

export interface IpmiBmcOptions extends SimulatedBmcOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** UDP. Default: a free one. */
  readonly port?: number;
  /** Cipher suites of RMCP+; none: it speaks IPMI 1.5 only. Default 17 and 3. */
  readonly suites?: readonly CipherSuite['id'][];
  /** Whether it speaks IPMI 1.5. Default true. */
  readonly speaksIpmi15?: boolean;
  /** Answers a repeated request from memory instead of doing it again. Default false: the worse of both. */
  readonly knowsRepeats?: boolean;
}

/** A BMC on a UDP port of this process. */
export interface IpmiBmc extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** What is behind the port; its `faults` may be changed at any time, those of packets too. */
  readonly bmc: SimulatedBmc;
  /** Commands it was given in sessions. */
  readonly commands: readonly CommandRecord[];
  /** Datagrams that came, and those of them that were not taken. */
  readonly packets: { readonly received: number; readonly dropped: number };
}

const MAC = '52:54:00:be:ef:03';

/**
 * A BMC of ours: RMCP+ with suites 17 and 3, and IPMI 1.5; chassis, boot options with all five bytes of the flags, users, channel, LAN
 * parameters, device ID. It errs as it is told, the same way for the same seed.
 */
export async function startIpmiBmc(options: IpmiBmcOptions = {}): Promise<IpmiBmc> {
  const { address = '127.0.0.1', port = 0, suites = [17, 3], speaksIpmi15 = true, knowsRepeats = false, seed = 'bmc' } = options;
  const bmc = new SimulatedBmc(options);
  const lan = new LanParameters({ address, mac: MAC, suites, authTypes: speaksIpmi15 ? AUTH_TYPE_BITS : 0 });
  const guid = seededRandom('guid', seed).bytes(16);
  const responder = new IpmiResponder({ bmc, lan, guid, suites, speaksIpmi15, knowsRepeats, seed });
  const socket = createSocket('udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  const wire = new Wire(socket, bmc, seededRandom('wire', seed));
  let received = 0;
  socket.on('message', (datagram, from) => {
    received++;
    wire.receive(datagram, (bytes) => {
      const answer = responder.answer(bytes);
      if (answer) wire.send(answer, from);
    });
  });
  return {
    address,
    port: socket.address().port,
    bmc,
    commands: responder.commands,
    get packets() {
      return { received, dropped: responder.dropped };
    },
    async [Symbol.asyncDispose]() {
      bmc[Symbol.dispose]();
      wire.close();
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}

/** The network between the BMC and the world: it loses, delays, repeats and spoils packets as the faults say. */
class Wire {
  readonly #socket: Socket;
  readonly #bmc: SimulatedBmc;
  readonly #random: Random;
  readonly #stop = new AbortController();
  /** Packets out so far, the last few, and those that wait to be overtaken. */
  readonly #sent: Uint8Array[] = [];
  #held: (() => void)[] = [];

  constructor(socket: Socket, bmc: SimulatedBmc, random: Random) {
    this.#socket = socket;
    this.#bmc = bmc;
    this.#random = random;
  }

  /** On the way in packets get lost, spoiled and repeated; the rest happens on the way out. */
  receive(datagram: Uint8Array, deliver: (bytes: Uint8Array) => void): void {
    const { lost = 0, garbled = 0, truncated = 0, duplicated = 0 } = this.#bmc.faults;
    for (const { bytes } of deliveries(datagram, { lost, garbled, truncated, duplicated }, { random: this.#random, earlier: [] })) deliver(bytes);
  }

  send(answer: Uint8Array, to: RemoteInfo): void {
    const held = this.#held;
    this.#held = [];
    for (const delivery of deliveries(answer, this.#bmc.faults, { random: this.#random, earlier: this.#sent })) this.#deliver(delivery, to);
    for (const release of held) release();
    this.#sent.push(answer);
    if (this.#sent.length > 16) this.#sent.shift();
  }

  close(): void {
    this.#stop.abort();
    this.#held = [];
  }

  #deliver({ bytes, afterMs, isOvertaken }: Delivery, to: RemoteInfo): void {
    const out = () => {
      if (!this.#stop.signal.aborted) this.#socket.send(bytes, to.port, to.address);
    };
    if (isOvertaken) this.#held.push(out);
    else if (afterMs === 0) out();
    else this.#bmc.clock.pause(afterMs, this.#stop.signal).then(out, () => undefined); // it rejects when this BMC is gone
  }
}
