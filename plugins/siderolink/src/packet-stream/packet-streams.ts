import { createSocket, type Socket } from 'node:dgram';
import { create } from '@bufbuild/protobuf';
import { type Metadata, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Sidero } from '@sidero/core';
import type { InstallationDesk } from '../installation/installation.ts';
import { type PeerPacket, PeerPacketSchema } from '../protocol/siderolink_pb.ts';
import type { TunnelState } from '../tunnel/tunnel-service.ts';
import { machineOfVirtual } from './virtual-endpoint.ts';

/** Metadata in which a machine says where it seems to be. */
const ADDRESS_KEY = 'x-siderolink-ipv6-addr';
/** Of all machines together. */
const MAX_STREAMS = 4096;
/** Of one machine: whoever heard it join can open some in its name, and must not put it out. */
const STREAMS_EACH = 4;
/** Packets that wait for a slow machine, or a slow WireGuard; it can do without those that are dropped. */
const MAX_WAITING_PACKETS = 512;
/** WireGuard's overhead on an MTU of 1280, and room. */
const MAX_PACKET_BYTES = 2048;
/** How often it is looked whether the machine of a stream is still let in. */
const LOOK_MS = 1000;

/** A stream as grpc-js gives it. */
interface PacketCall extends AsyncIterable<PeerPacket> {
  readonly metadata: Metadata;
  readonly writableLength: number;
  readonly destroyed: boolean;
  readonly writableEnded: boolean;
  write(packet: PeerPacket): boolean;
  end(): void;
  destroy(error: Error): void;
  emit(event: 'error', error: StreamEnd): boolean;
  on(event: 'data', take: (packet: PeerPacket) => void): this;
  on(event: 'end' | 'cancelled' | 'close' | 'error', take: () => void): this;
}

interface StreamEnd extends Error {
  code: status;
  details: string;
}

export interface PacketStreamOptions {
  readonly sidero: Pick<Sidero, 'log' | 'metrics'>;
  readonly desk: Pick<InstallationDesk, 'known'>;
  readonly state: TunnelState;
  /** UDP port of WireGuard on this replica. */
  readonly port: number;
}

/**
 * WireGuard's packets in gRPC streams, for sites that let no UDP pass. Each stream has a UDP socket of its own towards our WireGuard, which
 * so tells machines apart; what it carries is proven by WireGuard, not by us. WireGuard answers in the stream in which the machine last proved
 * itself; of too many the one ends that it answered in longest ago.
 */
export function packetStreams(options: PacketStreamOptions): UntypedServiceImplementation {
  const open = new OpenStreams();
  const { sidero } = options;
  const { metrics } = sidero;
  const gauge = metrics.gauge('sidero_siderolink_streams', 'Machines whose WireGuard packets come in a stream.');
  const dropped = metrics.counter('sidero_siderolink_stream_packets_dropped_total', 'Packets in streams that were dropped, by why.', ['why']);
  const createStream = (call: PacketCall): void => {
    const [given = ''] = call.metadata.get(ADDRESS_KEY).map(String);
    const refusal = refusalOf(options, given, open.count);
    if (refusal) {
      call.emit('error', refusal);
      return;
    }
    const machine = machineOfVirtual(given, options.desk.known!.subnet)!;
    // While the tunnel is made anew nobody is out: a machine that is told so gives up.
    const isKnown = () => options.state.keeper?.hasAddress(machine) ?? true;
    const speakTo = (own: string) =>
      void options.state.keeper?.speakTo(machine, own).catch((thrown: unknown) => sidero.log.debug({ err: thrown }, 'not spoken to'));
    const stream = new PacketStream(call, { port: options.port, dropped, isKnown, speakTo });
    open.add(machine, stream);
    gauge(open.machines);
    void stream.ended.then(() => {
      open.remove(machine, stream);
      gauge(open.machines);
    });
  };
  return { createStream };
}

/** The streams that are open, by machine. */
class OpenStreams {
  readonly #byMachine = new Map<string, Set<PacketStream>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get machines(): number {
    return this.#byMachine.size;
  }

  add(machine: string, stream: PacketStream): void {
    const streams = this.#byMachine.get(machine) ?? new Set();
    const [idlest] = [...streams].toSorted((a, b) => a.answeredMs - b.answeredMs);
    this.#byMachine.set(machine, streams.add(stream));
    this.#count++;
    if (streams.size > STREAMS_EACH) idlest?.end(endOf(status.ABORTED, 'peer replaced'));
  }

  remove(machine: string, stream: PacketStream): void {
    const streams = this.#byMachine.get(machine);
    if (streams?.delete(stream)) this.#count--;
    if (streams?.size === 0) this.#byMachine.delete(machine);
  }
}

function refusalOf({ desk, state }: PacketStreamOptions, given: string, count: number): StreamEnd | undefined {
  if (given === '') return endOf(status.INVALID_ARGUMENT, `metadata ${ADDRESS_KEY} is missing`);
  if (!desk.known || !state.keeper) return endOf(status.UNAVAILABLE, 'the tunnel is not on this replica now');
  const machine = machineOfVirtual(given, desk.known.subnet);
  if (!machine || !state.keeper.hasAddress(machine)) return endOf(status.PERMISSION_DENIED, 'peer not allowed');
  return count >= MAX_STREAMS ? endOf(status.RESOURCE_EXHAUSTED, 'too many streams') : undefined;
}

function endOf(code: status, details: string): StreamEnd {
  return Object.assign(new Error(details), { code, details });
}

/** What a stream is between. */
interface StreamEnds {
  /** UDP port of WireGuard. */
  readonly port: number;
  readonly dropped: (labels: { why: string }) => void;
  /** Whether the machine is let in. */
  readonly isKnown: () => boolean;
  /** Told where WireGuard finds the machine, `host:port`, again and again: the device may be a new one. */
  readonly speakTo: (endpoint: string) => void;
}

class PacketStream {
  readonly ended: Promise<void>;
  readonly #call: PacketCall;
  readonly #socket: Socket;
  #looking: NodeJS.Timeout | undefined;
  readonly #over: () => void;
  #isOver = false;
  #answeredMs = 0;

  constructor(call: PacketCall, given: StreamEnds) {
    const { port, dropped } = given;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#call = call;
    this.#socket = createSocket('udp4');
    this.#over = () => {
      clearInterval(this.#looking);
      this.#socket.close();
      resolve();
    };
    this.#socket.bind(0, '127.0.0.1', () => {
      this.#looking = setInterval(() => this.#look(given), LOOK_MS);
      this.#look(given);
    });
    this.#socket.on('error', () => this.end(endOf(status.UNAVAILABLE, 'WireGuard is not there')));
    this.#socket.on('message', (data) => {
      this.#answeredMs = performance.now();
      if (call.writableLength > MAX_WAITING_PACKETS) dropped({ why: 'slow machine' });
      else call.write(create(PeerPacketSchema, { data: new Uint8Array(data) }));
    });
    // While WireGuard is made anew nobody is at the port: packets are lost, as on any wire.
    call.on('data', ({ data }) => {
      if (this.#isOver) return;
      if (data.length > MAX_PACKET_BYTES) dropped({ why: 'too large' });
      else if (this.#socket.getSendQueueCount() > MAX_WAITING_PACKETS) dropped({ why: 'slow WireGuard' });
      else this.#socket.send(data, port, '127.0.0.1');
    });
    for (const event of ['end', 'cancelled', 'close', 'error'] as const) call.on(event, () => this.#finish());
  }

  /** When WireGuard last sent something through it, by a monotonic clock; 0: never. */
  get answeredMs(): number {
    return this.#answeredMs;
  }

  #look({ isKnown, speakTo }: StreamEnds): void {
    if (!isKnown()) this.end(endOf(status.PERMISSION_DENIED, 'peer not allowed'));
    else if (!this.#isOver) speakTo(`127.0.0.1:${this.#socket.address().port}`);
  }

  /** Ends it with a status. */
  end(why: StreamEnd): void {
    if (!this.#call.destroyed) this.#call.emit('error', why);
    this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#over();
    if (!this.#call.destroyed && !this.#call.writableEnded) this.#call.end();
  }
}
