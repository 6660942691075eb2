import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { EventRequestSchema } from '@sidero/plugin-siderolink/protocol';

/** What the sink answered: a gRPC status. */
export interface SinkAnswer {
  readonly code: number;
  readonly message: string;
}

/** Opens a connection for kernel logs from an address of loopback. */
export async function logConnection(from: string, port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  socket.on('error', () => undefined);
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  return socket;
}

/** An event as Talos sends it. */
export function eventBytes<S extends DescMessage>(id: string, schema: S, value: MessageInitShape<S>): Uint8Array {
  const data = { typeUrl: `type.googleapis.com/${schema.typeName}`, value: toBinary(schema, create(schema, value)) };
  return toBinary(EventRequestSchema, create(EventRequestSchema, { id, actorId: 'act', data }));
}

/** The event sink as a machine at `from` sees it: grpc-js cannot choose the address it calls from. */
export class SinkClient implements AsyncDisposable {
  readonly #session: ClientHttp2Session;

  constructor(from: string, port: number) {
    const createConnection = () => connect({ host: '127.0.0.1', port, localAddress: from });
    this.#session = connectHttp2(`http://127.0.0.1:${port}`, { createConnection });
    this.#session.on('error', () => undefined);
  }

  /** Publishes the bytes of an EventRequest. @throws when the connection is cut */
  async publish(request: Uint8Array): Promise<SinkAnswer> {
    const stream = this.#session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/events.EventSinkService/Publish',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const answer = { code: '', message: '' };
    const note = (headers: IncomingHttpHeaders): void => {
      answer.code = headers['grpc-status']?.toString() ?? answer.code;
      answer.message = headers['grpc-message']?.toString() ?? answer.message;
    };
    stream.on('response', note).on('trailers', note);
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(request.length, 1);
    stream.end(Buffer.concat([frame, request]));
    stream.resume();
    await once(stream, 'close');
    if (answer.code === '') throw new Error('the sink did not answer');
    return { code: Number(answer.code), message: decodeURIComponent(answer.message) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy();
  }
}
