import { decodeTftp, encodeTftp, type TftpPacket } from '@sidero/plugin-boot-ipxe';
import { failure } from '../errors.ts';
import { type Datagram, type Link, UdpSocket } from './udp.ts';

/** What firmware fetches, and how it asks. */
export interface TftpDownload {
  /** For messages. */
  readonly machine: string;
  readonly host: string;
  readonly port: number;
  readonly file: string;
  /** Default 1468, the most that fits an Ethernet frame. */
  readonly blockSize?: number;
  /** Blocks between two acknowledgements (RFC 7440). Default: not asked for, which means 1. */
  readonly windowSize?: number;
  /** Silence after which the last packet is sent again. Default 1000 ms. */
  readonly timeoutMs?: number;
  readonly onProgress?: (receivedBytes: number, totalBytes: number | undefined) => void;
}

/** Repetitions of one packet before firmware gives up. */
const ATTEMPTS = 6;

/**
 * Fetches a file as boot firmware does (RFC 1350, 2347, 2348, 2349, 7440).
 * @throws SIDERO_MACHINE_TFTP_FAILED, or the reason of the signal
 */
export async function downloadByTftp(download: TftpDownload, link: Link, signal: AbortSignal): Promise<Uint8Array> {
  await using socket = await UdpSocket.open(link, signal);
  return await new Reception(download, socket).run();
}

/**
 * Asks for the size of a file, then refuses the transfer with error 8, as UEFI firmware does before the transfer proper.
 * @throws SIDERO_MACHINE_TFTP_FAILED, or the reason of the signal
 */
export async function sizeByTftp(download: TftpDownload, link: Link, signal: AbortSignal): Promise<number> {
  await using socket = await UdpSocket.open(link, signal);
  const request = encodeTftp({ op: 'read', file: download.file, mode: 'octet', options: new Map([['tsize', '0']]) });
  for (let attempt = 0; attempt <= ATTEMPTS; attempt++) {
    socket.send(request, download.port, download.host);
    const answer = await socket.receive(download.timeoutMs ?? 1000);
    if (!answer) continue;
    const packet = decoded(answer);
    if (!packet) continue;
    if (packet.op === 'error') throw failed(download, `error ${packet.code}: ${packet.message}`);
    if (packet.op !== 'oack' || !packet.options.has('tsize')) throw failed(download, 'the server does not tell the size');
    socket.send(encodeTftp({ op: 'error', code: 8, message: 'User aborted the transfer' }), answer.from.port, answer.from.address);
    return Number(packet.options.get('tsize'));
  }
  throw failed(download, `no answer from UDP ${download.port}`);
}

const failed = ({ machine, file }: TftpDownload, problem: string) => failure('SIDERO_MACHINE_TFTP_FAILED', { machine, file, problem });

/** Firmware passes over what it cannot read. */
function decoded({ bytes }: Datagram): TftpPacket | undefined {
  try {
    return decodeTftp(bytes);
  } catch {
    return undefined;
  }
}

class Reception {
  readonly #download: TftpDownload;
  readonly #socket: UdpSocket;
  readonly #blocks: Uint8Array[] = [];
  #receivedBytes = 0;
  #inWindow = 0;
  /** First block out of order since the last good one. */
  #odd: number | undefined;
  #terms: { readonly blockSize: number; readonly windowSize: number; readonly totalBytes: number | undefined };
  #port: number;
  #last: Buffer;

  constructor(download: TftpDownload, socket: UdpSocket) {
    this.#download = download;
    this.#socket = socket;
    this.#port = download.port;
    this.#terms = { blockSize: 512, windowSize: 1, totalBytes: undefined };
    const options = new Map([
      ['tsize', '0'],
      ['blksize', String(download.blockSize ?? 1468)],
    ]);
    if (download.windowSize) options.set('windowsize', String(download.windowSize));
    this.#last = encodeTftp({ op: 'read', file: download.file, mode: 'octet', options });
  }

  async run(): Promise<Uint8Array> {
    let silences = 0;
    this.#transmit();
    for (;;) {
      const datagram = await this.#socket.receive(this.#download.timeoutMs ?? 1000);
      if (datagram) {
        silences = 0;
        if (this.#isComplete(datagram)) return Buffer.concat(this.#blocks);
      } else if (++silences > ATTEMPTS) throw failed(this.#download, `no answer from UDP ${this.#download.port}`);
      else this.#repeat();
    }
  }

  #isComplete(datagram: Datagram): boolean {
    const packet = decoded(datagram);
    if (!packet) return false;
    // A server may go on from a port of its own; ours does not.
    this.#port = datagram.from.port;
    if (packet.op === 'error') throw failed(this.#download, `error ${packet.code}: ${packet.message}`);
    if (packet.op === 'oack' && this.#blocks.length === 0) this.#agree(packet.options);
    return packet.op === 'data' && this.#isLast(packet);
  }

  #agree(options: ReadonlyMap<string, string>): void {
    this.#terms = {
      blockSize: Number(options.get('blksize') ?? 512),
      windowSize: Number(options.get('windowsize') ?? 1),
      totalBytes: options.has('tsize') ? Number(options.get('tsize')) : undefined,
    };
    this.#acknowledge();
  }

  #isLast({ block, data }: Extract<TftpPacket, { op: 'data' }>): boolean {
    if (block !== ((this.#blocks.length + 1) & 0xffff)) {
      // A gap, or a repetition because our acknowledgement was lost: told once a round, so that rounds do not multiply.
      if (block === (this.#odd ?? block)) this.#acknowledge();
      this.#odd ??= block;
      return false;
    }
    this.#blocks.push(data);
    this.#receivedBytes += data.length;
    this.#inWindow += 1;
    this.#odd = undefined;
    const isLast = data.length < this.#terms.blockSize;
    if (isLast || this.#inWindow >= this.#terms.windowSize) this.#acknowledge();
    this.#download.onProgress?.(this.#receivedBytes, this.#terms.totalBytes);
    return isLast;
  }

  #acknowledge(): void {
    this.#inWindow = 0;
    this.#last = encodeTftp({ op: 'ack', block: this.#blocks.length & 0xffff });
    this.#transmit();
  }

  #repeat(): void {
    if (this.#blocks.length > 0) this.#acknowledge();
    else this.#transmit();
  }

  #transmit(): void {
    this.#socket.send(this.#last, this.#port, this.#download.host);
  }
}
