import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { fromBinary } from '@bufbuild/protobuf';
import { EventRequestSchema, PhaseEventSchema, SequenceEvent_Action, SequenceEventSchema } from '@sidero/plugin-siderolink/protocol';
import { aServer } from '@sidero/testing';
import { aLinkedBinding, streamsPlane } from '../journeys/siderolink-streams/streams-plane.ts';
import { eventBytes, SinkClient } from '../journeys/siderolink-streams/talos-node.ts';
import type { Measurement } from './measure.ts';

const MACHINES = 60;
const EVENTS = 20;

/** Events of sixty machines at once, each of which changes a condition: from its sending until it is acknowledged, hence written. */
export async function measureTalosEvents(): Promise<readonly Measurement[]> {
  const machines = Array.from({ length: MACHINES }, (_, index) => ({
    address: `127.0.3.${index + 1}`,
    uuid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  }));
  const addresses = machines.map(({ address }) => address);
  const objects = machines.flatMap(({ address, uuid }) => [aServer({ spec: { hardware: { system: { uuid } } } }), aLinkedBinding(address, uuid)]);
  await using plane = await streamsPlane({ objects, isWitnessed: false });
  const ours = await publishAll(addresses, plane.eventPort);
  const bare = await bareSink();
  const peer = await publishAll(addresses, bare.port);
  bare.close();
  const note = `${MACHINES} machines at once, ${MACHINES * EVENTS} events, each changes a condition`;
  const name = 'bare grpc-js, decoded only';
  return [
    { what: 'event to condition, p50', ours: ours.p50, unit: 'ms', digits: 1, peer: { name, value: peer.p50 }, note },
    { what: 'event to condition, p99', ours: ours.p99, unit: 'ms', digits: 1, peer: { name, value: peer.p99 }, note },
  ];
}

async function publishAll(addresses: readonly string[], port: number): Promise<{ p50: number; p99: number }> {
  const tookMs: number[] = [];
  const machine = async (address: string): Promise<void> => {
    await using sink = new SinkClient(address, port);
    for (let index = 0; index < EVENTS; index++) {
      const id = `id${index}`;
      const isInstall = index % 2 === 0;
      const event = isInstall
        ? eventBytes(id, PhaseEventSchema, { phase: 'install' })
        : eventBytes(id, SequenceEventSchema, { sequence: 'boot', action: SequenceEvent_Action.START });
      const startedMs = performance.now();
      const { code, message } = await sink.publish(event);
      if (code !== 0) throw new Error(`an event was not acknowledged: ${message}`);
      tookMs.push(performance.now() - startedMs);
    }
  };
  await Promise.all(addresses.map(machine));
  const sorted = tookMs.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

async function bareSink(): Promise<{ port: number; close(): void }> {
  const server = new Server();
  const publish = (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
    fromBinary(EventRequestSchema, call.request);
    done(null, Buffer.alloc(0));
  };
  const bytes = (value: Buffer) => value;
  const method = {
    path: '/events.EventSinkService/Publish',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  server.addService({ publish: method }, { publish });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { port, close: () => server.forceShutdown() };
}
