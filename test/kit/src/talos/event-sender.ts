import { randomBytes, randomInt } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import { EventSinkService } from '@sidero/plugin-siderolink/protocol';
import { type Line, Outbox } from './outbox.ts';
import { UnaryChannel } from './unary-call.ts';

/** An event on its way. */
interface Sent {
  readonly id: string;
  readonly data: Any;
}

/** What Talos tells of itself, one at a time and in order, each until it is acknowledged. */
export class EventSender {
  readonly #events = new Outbox<Sent>();
  readonly #ids = new EventIds();

  tell<S extends DescMessage>(schema: S, event: MessageInitShape<S>): void {
    this.#events.push({ id: this.#ids.next(), data: anyPack(schema, create(schema, event)) });
  }

  /** Sends to `target` (`host:port`) from the address `from`, until the signal aborts. */
  send(target: string, from: string, signal: AbortSignal): Promise<void> {
    return this.#events.empty(() => openLine(target, from, signal), signal);
  }
}

function openLine(target: string, from: string, signal: AbortSignal): Line<Sent> {
  const channel = new UnaryChannel(target, from);
  return {
    send: async (event) => void (await channel.call(EventSinkService.method.publish, { ...event, actorId: '' }, signal)),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

const DIGITS = '0123456789abcdefghijklmnopqrstuv';
const CHARACTERS = 20;

/** Ids of events as Talos makes them: 20 characters in base 32, of the second, of what tells a boot apart, and of a count. */
class EventIds {
  readonly #boot = randomBytes(5);
  #count = randomInt(0x1000000);

  next(): string {
    this.#count = (this.#count + 1) % 0x1000000;
    const bytes = Buffer.alloc(12);
    bytes.writeUInt32BE(Math.floor(Date.now() / 1000));
    this.#boot.copy(bytes, 4);
    bytes.writeUIntBE(this.#count, 9, 3);
    // 96 bits in groups of 5, the last one filled up with zeroes.
    const bits = BigInt(`0x${bytes.toString('hex')}`) << 4n;
    return Array.from({ length: CHARACTERS }, (_, index) => DIGITS[Number((bits >> BigInt(5 * (CHARACTERS - 1 - index))) & 31n)]).join('');
  }
}
