import { once } from 'node:events';
import { createServer, type Server as TcpServer } from 'node:net';
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js';
import { clientAddress, failure, type Logger, type Metrics, type ResourceClient, serviceDefinition } from '@sidero/core';
import type { LinkListener, LinkPlace } from '../link.ts';
import type { LiveDirectory } from '../machines/live-directory.ts';
import { MachineConnections } from '../machines/machine-connections.ts';
import { EventSinkService } from '../protocol/events_pb.ts';
import { addressFilter } from './address-filter.ts';
import { type EventMeters, eventMeters } from './event-meters.ts';
import { createPublish, type EventRecord, type Peer } from './publish.ts';
import { refusalOf } from './sink-status.ts';
import { KNOWN_TYPES } from './talos-message.ts';

/** What the sink works with. */
export interface EventSinkOptions {
  readonly port: number;
  readonly directory: LiveDirectory;
  readonly resources: ResourceClient;
  /** Addresses in these prefixes are not told of. */
  readonly negativeAddressFilter: readonly string[];
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Takes each event once it is handled; it is acknowledged when that settles. */
  take(record: EventRecord): Promise<void>;
}

const MAX_CONNECTIONS = 16_384;
/** A machine that boots anew leaves one behind. */
const CONNECTIONS_EACH = 4;
/** How long what is being handled may take after the stop. */
const DRAIN_MS = 1000;

/** The sink of Talos' events: gRPC. An event is acknowledged once what it says is written; until then the machine sends it again. */
export function eventSink(options: EventSinkOptions): LinkListener {
  const meters = eventMeters(options.metrics, KNOWN_TYPES());
  const connections = new MachineConnections({ each: CONNECTIONS_EACH, onClose: meters.refused });
  const publish = createPublish({ ...options, meters, isFiltered: addressFilter(options.negativeAddressFilter) });
  return {
    name: 'event sink',
    port: options.port,
    serve: (place, signal, ready) => serveSink({ ...options, connections, publish, meters, place, signal, ready }),
    portOf: (address) => connections.portOf(address),
  };
}

interface Serving extends Pick<EventSinkOptions, 'directory' | 'port' | 'log'> {
  readonly connections: MachineConnections;
  readonly publish: (request: Uint8Array, peer: Peer) => Promise<void>;
  readonly meters: EventMeters;
  readonly place: LinkPlace;
  readonly signal: AbortSignal;
  readonly ready: () => void;
}

async function serveSink(serving: Serving): Promise<void> {
  const { connections, directory, meters, place, port, signal, ready } = serving;
  const grpc = grpcServer(serving);
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) => {
    socket.on('error', () => undefined);
    const address = clientAddress(socket.remoteAddress ?? '');
    if (!place.isMachine(address)) {
      meters.refused('stranger');
      return void socket.destroy();
    }
    connections.add(address, socket);
    place.connected?.();
    injector.injectConnection(socket);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listening(server, place, port);
  const end = once(server, 'close');
  const stop = (): void => {
    server.close();
    injector.drain(DRAIN_MS);
    const cut = setTimeout(() => connections.closeAll(), DRAIN_MS);
    server.once('close', () => clearTimeout(cut));
  };
  directory.onLeave((address) => connections.closeOf(address), signal);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  else ready();
  await end;
  injector.destroy();
}

function grpcServer({ publish, log }: Serving): Server {
  const server = new Server({
    // Events of Talos are far below this.
    'grpc.max_receive_message_length': 256 * 1024,
    'grpc.max_concurrent_streams': 32,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 20_000,
  });
  const { publish: method } = serviceDefinition(EventSinkService);
  // Decoded where it is handled: what cannot be read gets an answer that says so.
  const definition = { publish: { ...method!, requestDeserialize: (bytes: Buffer) => bytes, responseSerialize: () => Buffer.alloc(0) } };
  server.addService(definition, {
    publish(call: ServerUnaryCall<Buffer, object>, done: sendUnaryData<object>) {
      publish(call.request, peerOf(call.getPeer())).then(
        () => done(null, {}),
        (thrown: unknown) => {
          const refusal = refusalOf(thrown);
          log.debug({ peer: call.getPeer(), err: thrown }, 'an event is not acknowledged');
          done(refusal);
        },
      );
    },
  });
  return server;
}

function peerOf(text: string): Peer {
  const colon = text.lastIndexOf(':');
  return { address: clientAddress(text.slice(0, colon)), port: text.slice(colon + 1) };
}

async function listening(server: TcpServer, { host }: LinkPlace, port: number): Promise<void> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw failure('SIDERO_LISTEN_FAILED', { what: 'the event sink', address: `${host}:${port}`, cause });
  }
}
