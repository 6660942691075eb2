import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { decodeTftp } from './packet.ts';
import { Transfer } from './transfer.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A transfer whose client is the test; `blocks` are the numbers that were sent. */
function aTransfer(data: Uint8Array, terms: { blockSize: number; windowSize: number; timeoutMs?: number }, rule = { timeoutMs: 1000, retries: 6 }) {
  const blocks: number[] = [];
  const sentAtMs: number[] = [];
  const ends: string[] = [];
  const received: Uint8Array[] = [];
  const transfer = new Transfer(data, {
    terms: { timeoutMs: undefined, answer: new Map(), ...terms },
    rule,
    ports: {
      send(bytes) {
        const packet = decodeTftp(bytes);
        if (packet.op !== 'data') return;
        blocks.push(packet.block);
        sentAtMs.push(Date.now());
        received.push(packet.data);
      },
      progress: () => undefined,
      end: (result) => void ends.push(result),
    },
  });
  return { transfer, blocks, sentAtMs, ends, received };
}

test('a file of more than 65535 blocks goes on with block 0, and arrives whole', () => {
  const data = Buffer.alloc(8 * 140_000 + 3, 'block number sixteen');
  const { transfer, blocks, ends, received } = aTransfer(data, { blockSize: 8, windowSize: 64 });
  while (ends.length === 0) transfer.acknowledge(blocks.at(-1)!);
  expect(blocks.slice(65_533, 65_538)).toEqual([65_534, 65_535, 0, 1, 2]);
  expect(Buffer.concat(received).equals(data)).toBe(true);
  expect(ends).toEqual(['done']);
});

test('a silent client gets the block again after ever longer waits, up to eight times the first', () => {
  const start = Date.now();
  const { sentAtMs, ends } = aTransfer(Buffer.alloc(10), { blockSize: 512, windowSize: 1 }, { timeoutMs: 100, retries: 5 });
  vi.advanceTimersByTime(100_000);
  expect(sentAtMs.map((at) => at - start)).toEqual([0, 100, 300, 700, 1500, 2300]);
  expect(ends).toEqual(['silent']);
});

test('the time-out a client has asked for counts', () => {
  const { blocks } = aTransfer(Buffer.alloc(10), { blockSize: 512, windowSize: 1, timeoutMs: 3000 });
  vi.advanceTimersByTime(2999);
  expect(blocks).toEqual([1]);
  vi.advanceTimersByTime(1);
  expect(blocks).toEqual([1, 1]);
});

test('an answer makes the waits short again', () => {
  const { transfer, blocks } = aTransfer(Buffer.alloc(2000), { blockSize: 512, windowSize: 1 }, { timeoutMs: 100, retries: 6 });
  vi.advanceTimersByTime(700);
  expect(blocks).toEqual([1, 1, 1, 1]);
  transfer.acknowledge(1);
  vi.advanceTimersByTime(100);
  expect(blocks).toEqual([1, 1, 1, 1, 2, 2]);
});

test('nothing is sent once it was stopped', () => {
  const { transfer, blocks, ends } = aTransfer(Buffer.alloc(2000), { blockSize: 512, windowSize: 1 });
  transfer.stop();
  transfer.acknowledge(1);
  transfer.repeat();
  vi.advanceTimersByTime(100_000);
  expect(blocks).toEqual([1]);
  expect(ends).toEqual([]);
});
