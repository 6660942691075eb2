import { fromBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { createRateLimit, type Logger, type RateLimit, type ResourceClient, type TalosEvent } from '@sidero/core';
import type { LiveDirectory } from '../machines/live-directory.ts';
import type { LinkedMachine } from '../machines/linked-machine.ts';
import { EventRequestSchema } from '../protocol/events_pb.ts';
import type { AddressFilter } from './address-filter.ts';
import { writeBinding } from './binding-writer.ts';
import { effectOf } from './effect-of.ts';
import { eventFields, eventLine, nodeText } from './event-line.ts';
import type { EventMeters, EventOutcome } from './event-meters.ts';
import { Refusal } from './sink-status.ts';
import { type TalosMessage, talosMessage } from './talos-message.ts';
import { Turns } from './turns.ts';

/** An event of Talos, handled. */
export interface EventRecord {
  readonly machine: LinkedMachine;
  readonly event: TalosEvent;
  /** One JSON object, no line break. */
  readonly line: string;
  readonly at: Date;
}

/** What publishing works with. */
export interface PublishOptions {
  readonly directory: LiveDirectory;
  readonly resources: ResourceClient;
  readonly isFiltered: AddressFilter;
  readonly log: Logger;
  readonly meters: EventMeters;
  /** Takes each event once it is handled; it is acknowledged when that settles. */
  take(record: EventRecord): Promise<void>;
}

/** Who calls. */
export interface Peer {
  readonly address: string;
  readonly port: string;
}

interface Received {
  readonly machine: LinkedMachine;
  readonly peer: Peer;
  readonly event: TalosEvent;
  readonly message: TalosMessage;
  readonly at: Date;
  readonly startedMs: number;
}

interface PublishContext extends PublishOptions {
  /** Talos sends an event again and again: the log tells of a machine once a minute. */
  readonly told: RateLimit;
}

/** Talos sends one at a time. More of one machine than this are connections that it has left. */
const MOST_AT_ONCE = 32;

/** Gives what handles an event: writes what it says, then tells it; resolves when it may be acknowledged. Rejects with a Refusal, or what writing threw. */
export function createPublish(options: PublishOptions): (request: Uint8Array, peer: Peer) => Promise<void> {
  const turns = new Turns(MOST_AT_ONCE);
  const context = { ...options, told: createRateLimit({ perSecond: 1 / 60, burst: 1, keys: 4096 }) };
  return async (request, peer) => {
    const startedMs = performance.now();
    const { event, message } = eventOf(request, options.meters);
    const machine = await senderOf(peer, event, context);
    if (turns.isFull(machine.uuid)) throw new Refusal(status.RESOURCE_EXHAUSTED, `${MOST_AT_ONCE} events of this machine are being handled already`);
    await turns.take(machine.uuid, () => handle({ machine, peer, event, message, at: new Date(), startedMs }, context));
  };
}

function eventOf(request: Uint8Array, meters: EventMeters): { event: TalosEvent; message: TalosMessage } {
  const invalid = (why: string, type = ''): Refusal => {
    meters.event(type, 'invalid');
    return new Refusal(status.INVALID_ARGUMENT, why);
  };
  const { data, id } = orThrow(
    () => fromBinary(EventRequestSchema, request),
    () => invalid('the request is no events.EventRequest'),
  );
  if (!data) throw invalid('the request has no data');
  const type = data.typeUrl;
  const message = orThrow(
    () => talosMessage(type, data.value),
    () => invalid(`the data is no ${type}`, type),
  );
  return { event: { id, type, fields: eventFields(message) }, message };
}

function orThrow<T>(attempt: () => T, error: () => Error): T {
  try {
    return attempt();
  } catch {
    throw error();
  }
}

async function senderOf({ address }: Peer, event: TalosEvent, { directory, log, meters, told }: PublishContext): Promise<LinkedMachine> {
  const machine = await directory.findMachine(address);
  if (machine) return machine;
  meters.event(event.type, 'unknown-sender');
  if (told.take(address))
    log.warn(
      { address, event: event.id, type: event.type },
      'an event came from an address in the tunnel that is no machine; it is not acknowledged',
    );
  throw new Refusal(status.NOT_FOUND, `no ServerBinding has the address ${address}`);
}

async function handle(received: Received, options: PublishContext): Promise<void> {
  const { event, machine, startedMs } = received;
  const { log, meters, take, told } = options;
  try {
    const outcome = await apply(received, options);
    if (outcome === 'applied') meters.applied((performance.now() - startedMs) / 1000);
    meters.event(event.type, outcome);
  } catch (thrown) {
    meters.event(event.type, 'failed');
    if (told.take(machine.uuid))
      log.warn({ server: machine.uuid, event: event.id, type: event.type, err: thrown }, 'an event was not handled; the machine sends it again');
    throw thrown;
  }
  await take(recordOf(received));
}

async function apply(received: Received, { resources, isFiltered }: PublishOptions): Promise<EventOutcome> {
  const { machine, message, event, at } = received;
  const { address } = received.peer;
  const effect = effectOf(message, { linkAddress: address, isFiltered, now: at });
  if (!effect) return 'told';
  const outcome = await writeBinding(resources, { machine, address, eventId: event.id, effect });
  // Between two boots, or two machines: by its next attempt it is known here too who it is.
  if (outcome === 'moved') throw new Refusal(status.UNAVAILABLE, `the machine at ${address} is just changing`);
  return outcome;
}

function recordOf({ machine, peer, event, message, at }: Received): EventRecord {
  const line = eventLine({ at, node: nodeText(peer.address, peer.port), event, names: machine.names, message });
  return { machine, event, line, at };
}
