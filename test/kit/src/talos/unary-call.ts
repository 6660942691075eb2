import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { type DescMethodUnary, fromBinary, type MessageInitShape, type MessageShape, create, toBinary } from '@bufbuild/protobuf';
import { failure } from '../errors.ts';

/** How long a call may take. */
const CALL_MS = 30_000;

/** A connection for unary gRPC calls that come from an address of one's choice, which grpc-js has no option for. */
export class UnaryChannel implements AsyncDisposable {
  readonly #session: ClientHttp2Session;

  /** @param target `host:port`, an IPv6 address in brackets; `from` is the address it connects from. */
  constructor(target: string, from: string) {
    const { hostname, port } = new URL(`http://${target}`);
    const host = hostname.replace(/^\[|\]$/g, '');
    this.#session = connect(`http://${target}`, { createConnection: () => connectTcp({ host, port: Number(port), localAddress: from }) });
    // What goes wrong shows in the call it happens to.
    this.#session.on('error', () => undefined);
  }

  /** @throws SIDERO_MACHINE_CALL_FAILED, or the reason of the signal */
  async call<M extends DescMethodUnary>(method: M, message: MessageInitShape<M['input']>, signal: AbortSignal): Promise<MessageShape<M['output']>> {
    const path = `/${method.parent.typeName}/${method.name}`;
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]);
    try {
      const answer = await this.#exchange(path, framed(toBinary(method.input, create(method.input, message))), inTime);
      return fromBinary(method.output, answer) as MessageShape<M['output']>;
    } catch (cause) {
      signal.throwIfAborted();
      throw failure('SIDERO_MACHINE_CALL_FAILED', { path, cause });
    }
  }

  async #exchange(path: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
    const stream = this.#session.request(headers, { signal });
    let status: string | undefined;
    const look = ({ 'grpc-status': code, 'grpc-message': message = '' }: Readonly<Record<string, unknown>>) => {
      if (typeof code === 'string') status = `${code} ${decodeURIComponent(message as string)}`;
    };
    stream.on('response', look).on('trailers', look);
    stream.end(body);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    if (!status?.startsWith('0 ')) throw new Error(status ?? 'the connection ended before the answer');
    return Buffer.concat(chunks).subarray(5);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#session.closed) return;
    const closed = once(this.#session, 'close');
    this.#session.destroy(undefined, constants.NGHTTP2_NO_ERROR);
    await closed.catch(() => undefined);
  }
}

/** Not compressed, length, message. */
function framed(message: Uint8Array): Uint8Array {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
