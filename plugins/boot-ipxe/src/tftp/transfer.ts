import type { TransferTerms } from './negotiate.ts';
import { encodeTftp } from './packet.ts';

/** What a transfer needs from the one who runs it. */
export interface TransferPorts {
  send(packet: Buffer): void;
  /** Called after each step forward. */
  progress(sentBytes: number): void;
  /** Called once; the transfer sends nothing after it. */
  end(result: 'done' | 'silent'): void;
}

export interface RetryRule {
  /** Wait before the first retransmission; doubles up to 8 times that. */
  readonly timeoutMs: number;
  /** Retransmissions without any answer before the client counts as gone. */
  readonly retries: number;
}

/**
 * The sending side of one read, after its terms are agreed. Blocks are counted from 1 without bound; only the wire has the low
 * 16 bits, so that files of more than 65535 blocks work.
 *
 * An ACK that moves nothing is answered at most once per position, and never at window size 1: answering each doubles the traffic
 * for the rest of the transfer (the "Sorcerer's Apprentice" fault).
 */
export class Transfer {
  readonly #data: Uint8Array;
  readonly #terms: TransferTerms;
  readonly #rule: RetryRule;
  readonly #ports: TransferPorts;
  readonly #blocks: number;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = 0;
  #acked = 0;
  #sent = 0;
  #answered: boolean;
  #resentAt = -1;
  #silences = 0;
  #ended = false;

  constructor(data: Uint8Array, given: { readonly terms: TransferTerms; readonly rule: RetryRule; readonly ports: TransferPorts }) {
    this.#data = data;
    this.#terms = given.terms;
    this.#rule = { ...given.rule, timeoutMs: given.terms.timeoutMs ?? given.rule.timeoutMs };
    this.#ports = given.ports;
    // A size that is a multiple of the block size ends with an empty block.
    this.#blocks = Math.floor(data.length / given.terms.blockSize) + 1;
    this.#answered = given.terms.answer.size === 0;
    this.#arm();
    this.#sendNext();
  }

  /** True until the client has acknowledged anything: a repeated request is then a lost answer, later it is a new transfer. */
  get isUntouched(): boolean {
    return this.#acked === 0 && (!this.#answered || this.#terms.answer.size === 0);
  }

  get sentBytes(): number {
    return Math.min(this.#acked * this.#terms.blockSize, this.#data.length);
  }

  /** The request came again: our first answer was lost. */
  repeat(): void {
    if (!this.#ended) this.#sendNext();
  }

  /** An ACK with the block number of the wire. */
  acknowledge(block: number): void {
    if (this.#ended) return;
    if (!this.#answered) {
      if (block !== 0) return;
      this.#answered = true;
      return this.#forward();
    }
    const ahead = (block - this.#acked) & 0xffff;
    if (ahead > this.#sent - this.#acked) return; // late, or never sent
    if (ahead === 0) return this.#duplicate();
    this.#acked += ahead;
    this.#ports.progress(this.sentBytes);
    if (this.#acked === this.#blocks) return this.stop('done');
    this.#forward();
  }

  /** Ends it without a word to the client. */
  stop(result?: 'done' | 'silent'): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    if (result) this.#ports.end(result);
  }

  #forward(): void {
    this.#silences = 0;
    this.#arm();
    this.#sendNext();
  }

  // With a window, the client says so at once when a block is missing; it may say it for each block that follows.
  #duplicate(): void {
    if (this.#terms.windowSize === 1 || this.#resentAt === this.#acked) return;
    this.#resentAt = this.#acked;
    this.#sendNext();
  }

  #silence(): void {
    if (this.#silences === this.#rule.retries) return this.stop('silent');
    this.#silences += 1;
    this.#arm();
    this.#sendNext();
  }

  #arm(): void {
    const delayMs = this.#rule.timeoutMs * Math.min(2 ** this.#silences, 8);
    if (this.#timer && delayMs === this.#delayMs) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#delayMs = delayMs;
    this.#timer = setTimeout(() => this.#silence(), delayMs);
  }

  // The OACK, or the window after the last acknowledged block.
  #sendNext(): void {
    if (!this.#answered) return this.#ports.send(encodeTftp({ op: 'oack', options: this.#terms.answer }));
    const last = Math.min(this.#acked + this.#terms.windowSize, this.#blocks);
    for (let block = this.#acked + 1; block <= last; block += 1) this.#ports.send(this.#packet(block));
    this.#sent = Math.max(this.#sent, last);
  }

  #packet(block: number): Buffer {
    const start = (block - 1) * this.#terms.blockSize;
    const data = this.#data.subarray(start, start + this.#terms.blockSize);
    const packet = Buffer.allocUnsafe(4 + data.length);
    packet.writeUInt32BE(0x30000 + (block & 0xffff), 0);
    packet.set(data, 4);
    return packet;
  }
}
