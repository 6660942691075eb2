import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { failure as coreFailure, hasCode, messageOf } from '@sidero/core';
import { cleanPath, negotiate, toNetascii } from './negotiate.ts';
import { decodeTftp, encodeTftp, TFTP_ERROR, type TftpPacket } from './packet.ts';
import { Transfer } from './transfer.ts';

export interface TftpServerOptions {
  /** Address to bind; `0.0.0.0` for every IPv4 address, `::` for IPv6 and IPv4. */
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Larger requests are answered with this. 1468 fits an Ethernet frame of 1500 bytes. */
  readonly maxBlockSize: number;
  readonly maxWindowSize: number;
  readonly timeoutMs: number;
  readonly retries: number;
  /** Requests beyond these are not answered: clients ask again by themselves. */
  readonly maxTransfers: number;
  readonly maxTransfersPerAddress: number;
}

/** How a request ended. */
export type TftpResult = 'done' | 'silent' | 'aborted' | 'declined' | 'missing' | 'refused' | 'limited' | 'malformed' | 'failed';

/** One read as it is seen from outside; `file` is the cleaned name. */
export interface TftpRead {
  /** Address and port: one transfer at a time. */
  readonly client: string;
  readonly file: string;
  readonly address: string;
  readonly sentBytes: number;
  readonly totalBytes: number;
}

/** Where the files come from, and who is told. */
export interface TftpBackend {
  /** The whole file; undefined when there is none. */
  open(file: string): Promise<Uint8Array | undefined>;
  started(read: TftpRead): void;
  progress(read: TftpRead): void;
  /** `read` is undefined when the packet never became one. */
  ended(result: TftpResult, read: TftpRead | undefined, detail: string): void;
}

// A client is one address and port: all answers leave from our one port, because firewalls, NAT and Kubernetes Services expect it.
interface Client {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly read: TftpRead;
  transfer: Transfer | undefined;
}

type ReadRequest = Extract<TftpPacket, { op: 'read' | 'write' }>;

/** A read-only TFTP server on one UDP socket (RFC 1350, 2347, 2348, 2349, 7440). */
export class TftpServer implements AsyncDisposable {
  readonly #options: TftpServerOptions;
  readonly #backend: TftpBackend;
  readonly #socket: Socket;
  readonly #clients = new Map<string, Client>();

  private constructor(options: TftpServerOptions, backend: TftpBackend) {
    this.#options = options;
    this.#backend = backend;
    this.#socket = createSocket({
      type: isIPv6(options.address) ? 'udp6' : 'udp4',
      sendBufferSize: 1 << 20,
      recvBufferSize: 1 << 20,
      // Addresses are numbers already; the default look-up costs a turn of the event loop for each packet.
      lookup: (host, _options, done) => done(null, host, host.includes(':') ? 6 : 4),
    });
  }

  /** @throws SIDERO_LISTEN_FAILED */
  static async start(options: TftpServerOptions, backend: TftpBackend): Promise<TftpServer> {
    const server = new TftpServer(options, backend);
    try {
      const listening = once(server.#socket, 'listening'); // emitted within bind when the address needs no look-up
      server.#socket.bind(options.port, options.address);
      await listening;
    } catch (cause) {
      throw coreFailure('SIDERO_LISTEN_FAILED', { what: 'TFTP', address: `${options.address}:${options.port}`, cause });
    }
    server.#socket.on('message', (bytes, from) => server.#receive(bytes, from));
    // An unreachable client shows up here on some systems; its transfer ends by silence.
    server.#socket.on('error', (error) => server.#backend.ended('failed', undefined, messageOf(error)));
    return server;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients.values()) client.transfer?.stop();
    this.#clients.clear();
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #receive(bytes: Buffer, from: RemoteInfo): void {
    const key = `${from.address} ${from.port}`;
    const client = this.#clients.get(key);
    // Most packets are ACKs of running transfers.
    if (client && bytes.length >= 4 && bytes.readUInt16BE(0) === 4) return client.transfer?.acknowledge(bytes.readUInt16BE(2));
    const packet = this.#decode(bytes, from);
    if (packet?.op === 'read' || packet?.op === 'write') return this.#request(packet, from, client);
    // Everything else belongs to a transfer that is over; an ERROR in reply would only confuse a client that is done.
    if (packet?.op === 'error' && client) this.#aborted(client, packet);
  }

  #decode(bytes: Buffer, from: RemoteInfo): TftpPacket | undefined {
    try {
      return decodeTftp(bytes);
    } catch (error) {
      if (!hasCode(error, 'SIDERO_TFTP_MALFORMED')) throw error;
      this.#backend.ended('malformed', undefined, `${from.address}: ${error.message}`);
      return undefined;
    }
  }

  #request(packet: ReadRequest, from: RemoteInfo, known: Client | undefined): void {
    const read: TftpRead = {
      client: `${from.address} ${from.port}`,
      file: cleanPath(packet.file),
      address: from.address,
      sentBytes: 0,
      totalBytes: 0,
    };
    if (packet.op === 'write') {
      this.#refuse(from, { code: TFTP_ERROR.illegalOperation, message: 'this server is read-only' });
      return this.#backend.ended('refused', undefined, `${from.address} asks to write ${read.file}`);
    }
    if (known) {
      const repeated = known.read.file === read.file && (known.transfer?.isUntouched ?? true);
      if (repeated) return known.transfer?.repeat();
      this.#finish(known, 'aborted', 'the client began another transfer');
    }
    if (this.#isFull(from.address)) return this.#backend.ended('limited', read, 'too many transfers at once');
    const client: Client = { key: read.client, address: from.address, port: from.port, read, transfer: undefined };
    this.#clients.set(client.key, client);
    this.#backend.started(read);
    void this.#open(client, packet);
  }

  // Never rejects.
  async #open(client: Client, packet: ReadRequest): Promise<void> {
    let bytes: Uint8Array | undefined;
    try {
      bytes = await this.#backend.open(client.read.file);
    } catch (error) {
      this.#refuse(client, { code: TFTP_ERROR.other, message: 'the file cannot be read' });
      return this.#finish(client, 'failed', messageOf(error));
    }
    if (this.#clients.get(client.key) !== client) return;
    if (!bytes) {
      this.#refuse(client, { code: TFTP_ERROR.notFound, message: 'file not found' });
      return this.#finish(client, 'missing', 'there is no such boot file');
    }
    this.#transfer(client, packet.mode === 'netascii' ? toNetascii(bytes) : bytes, packet);
  }

  #transfer(client: Client, data: Uint8Array, packet: ReadRequest): void {
    const totalBytes = data.length;
    const { timeoutMs, retries } = this.#options;
    const sent = (): TftpRead => ({ ...client.read, totalBytes, sentBytes: client.transfer?.sentBytes ?? 0 });
    client.transfer = new Transfer(data, {
      terms: negotiate(packet.options, totalBytes, this.#options),
      rule: { timeoutMs, retries },
      ports: {
        send: (bytes) => this.#socket.send(bytes, client.port, client.address),
        progress: () => this.#backend.progress(sent()),
        end: (result) => {
          this.#clients.delete(client.key);
          this.#backend.ended(result, sent(), result === 'done' ? '' : 'the client no longer answers');
        },
      },
    });
  }

  // UEFI asks for tsize only, answers the OACK with error 8 and comes again with its block size: not a failure.
  #aborted(client: Client, packet: { readonly code: number; readonly message: string }): void {
    const result = packet.code === TFTP_ERROR.optionRefused ? 'declined' : 'aborted';
    this.#finish(client, result, `the client stopped: error ${packet.code} ${JSON.stringify(packet.message.slice(0, 100))}`);
  }

  #finish(client: Client, result: TftpResult, detail: string): void {
    if (this.#clients.get(client.key) !== client) return;
    this.#clients.delete(client.key);
    client.transfer?.stop();
    this.#backend.ended(result, { ...client.read, sentBytes: client.transfer?.sentBytes ?? 0 }, detail);
  }

  #refuse(to: { readonly address: string; readonly port: number }, error: { readonly code: number; readonly message: string }): void {
    this.#socket.send(encodeTftp({ op: 'error', ...error }), to.port, to.address);
  }

  #isFull(address: string): boolean {
    if (this.#clients.size >= this.#options.maxTransfers) return true;
    let same = 0;
    for (const client of this.#clients.values()) if (client.address === address) same += 1;
    return same >= this.#options.maxTransfersPerAddress;
  }
}
