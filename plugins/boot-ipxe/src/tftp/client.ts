import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { failure } from '../errors.ts';
import { decodeTftp, encodeTftp, type TftpOptions, type TftpPacket } from './packet.ts';

export interface TftpFetch {
  readonly host: string;
  /** Default 69. */
  readonly port?: number;
  readonly file: string;
  /** Asked for; the server may say less. Without it: 512 and no option. */
  readonly blockSize?: number;
  readonly windowSize?: number;
  /** Silence before the last packet is sent again. Default 1000. */
  readonly timeoutMs?: number;
  /** Repetitions before giving up. Default 6. */
  readonly retries?: number;
  readonly signal?: AbortSignal;
}

/**
 * Fetches a file as boot firmware does (RFC 1350, 2347–2349, 7440).
 * @throws SIDERO_TFTP_TRANSFER_FAILED
 */
export async function fetchOverTftp(given: TftpFetch): Promise<Buffer> {
  const socket = createSocket({ type: isIPv6(given.host) ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  socket.bind(0);
  await once(socket, 'listening');
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      given.signal?.addEventListener('abort', () => reject(given.signal?.reason), { once: true });
      new Reception(socket, given, { resolve, reject }).begin();
    });
  } finally {
    socket.close();
  }
}

class Reception {
  readonly #socket: Socket;
  readonly #given: TftpFetch;
  readonly #settle: { resolve(file: Buffer): void; reject(error: unknown): void };
  readonly #chunks: Uint8Array[] = [];
  #terms = { blockSize: 512, windowSize: 1 };
  #last: Buffer = Buffer.alloc(0);
  #port: number;
  /** Blocks received in order, without bound. */
  #received = 0;
  #inWindow = 0;
  #gapTold = false;
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, given: TftpFetch, settle: { resolve(file: Buffer): void; reject(error: unknown): void }) {
    this.#socket = socket;
    this.#given = given;
    this.#settle = settle;
    this.#port = given.port ?? 69;
  }

  begin(): void {
    const asked: [string, number | undefined][] = [
      ['blksize', this.#given.blockSize],
      ['windowsize', this.#given.windowSize],
    ];
    const options = new Map(asked.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]));
    if (options.size > 0) options.set('tsize', '0');
    this.#socket.on('message', (bytes, from) => {
      this.#port = from.port; // a server may go on from a port of its own
      this.#receive(decodeTftp(bytes));
    });
    this.#socket.on('error', (error) => this.#fail(error.message));
    this.#send({ op: 'read', file: this.#given.file, mode: 'octet', options });
  }

  #receive(packet: TftpPacket): void {
    if (packet.op === 'error') return this.#fail(`error ${packet.code} ${packet.message}`);
    if (packet.op === 'oack' && this.#received === 0) return this.#agree(packet.options);
    if (packet.op === 'data') this.#store(packet.block, packet.data);
  }

  #agree(options: TftpOptions): void {
    this.#terms = { blockSize: Number(options.get('blksize') ?? 512), windowSize: Number(options.get('windowsize') ?? 1) };
    this.#send({ op: 'ack', block: 0 });
  }

  #store(block: number, data: Uint8Array): void {
    if (block !== ((this.#received + 1) & 0xffff)) return this.#outOfOrder(block);
    this.#chunks.push(data);
    this.#received += 1;
    this.#inWindow += 1;
    this.#attempts = 0;
    this.#gapTold = false;
    const isLast = data.length < this.#terms.blockSize;
    if (isLast || this.#inWindow >= this.#terms.windowSize) this.#acknowledge();
    if (!isLast) return;
    clearTimeout(this.#timer);
    this.#settle.resolve(Buffer.concat(this.#chunks));
  }

  // A gap is told once, at the first block behind it; the last block again means that our ACK was lost.
  #outOfOrder(block: number): void {
    const behind = (this.#received - block) & 0xffff;
    const isAhead = behind >= 0x8000;
    if (isAhead ? this.#gapTold : behind !== 0) return;
    this.#gapTold = isAhead;
    this.#acknowledge();
  }

  #acknowledge(): void {
    this.#inWindow = 0;
    this.#send({ op: 'ack', block: this.#received & 0xffff });
  }

  #send(packet: TftpPacket): void {
    this.#last = encodeTftp(packet);
    this.#transmit();
  }

  #transmit(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#repeat(), this.#given.timeoutMs ?? 1000);
    this.#socket.send(this.#last, this.#port, this.#given.host);
  }

  #repeat(): void {
    this.#attempts += 1;
    if (this.#attempts > (this.#given.retries ?? 6)) return this.#fail('no answer');
    this.#inWindow = 0;
    if (this.#received > 0) this.#last = encodeTftp({ op: 'ack', block: this.#received & 0xffff });
    this.#transmit();
  }

  #fail(problem: string): void {
    clearTimeout(this.#timer);
    const server = `${this.#given.host}:${this.#port}`;
    this.#settle.reject(failure('SIDERO_TFTP_TRANSFER_FAILED', { file: this.#given.file, server, problem }));
  }
}
