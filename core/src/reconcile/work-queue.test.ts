import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { retryDelayMs, WorkQueue } from './work-queue.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => vi.useRealTimers());

/** The keys that are handed out without waiting. */
async function due(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.length > 0) keys.push((await queue.next())!);
  return keys;
}

describe('work queue', () => {
  test('hands keys out in the order in which they came, each once', async () => {
    const queue = new WorkQueue();
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    expect(await due(queue)).toEqual(['a', 'b', 'c']);
  });

  test('a key that comes due while it is worked on is handed out again afterwards, once', async () => {
    const queue = new WorkQueue();
    queue.add('a');
    await queue.next();
    queue.add('a');
    queue.add('a');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(await due(queue)).toEqual(['a']);
    queue.done('a');
    expect(queue.length).toBe(0);
  });

  test('of several delays the one that ends first counts', async () => {
    const queue = new WorkQueue();
    queue.addAfter('a', 1000);
    queue.addAfter('a', 100);
    queue.addAfter('a', 500);
    vi.advanceTimersByTime(99);
    expect(queue.length).toBe(0);
    vi.advanceTimersByTime(1);
    expect(await due(queue)).toEqual(['a']);
    queue.done('a');
    vi.advanceTimersByTime(10_000);
    expect(queue.length).toBe(0);
  });

  test('work that begins settles an earlier delay, and leaves a later one', async () => {
    const queue = new WorkQueue();
    queue.addAfter('a', 100);
    queue.add('a');
    await queue.next();
    queue.addAfter('a', 1000);
    queue.done('a');
    vi.advanceTimersByTime(999);
    expect(queue.length).toBe(0);
    vi.advanceTimersByTime(1);
    expect(queue.length).toBe(1);
  });

  test('a failing key waits longer each time, until it is forgotten', async () => {
    const queue = new WorkQueue();
    const waited: number[] = [];
    for (let failures = 0; failures < 6; failures++) {
      if (failures === 5) queue.forget('a');
      const started = performance.now();
      queue.retry('a');
      vi.advanceTimersToNextTimer();
      waited.push(performance.now() - started);
      await queue.next();
      queue.done('a');
    }
    for (const [failures, ms] of waited.slice(0, 5).entries()) {
      expect(ms).toBeGreaterThanOrEqual(Math.floor(5 * 2 ** failures * 0.8));
      expect(ms).toBeLessThanOrEqual(Math.ceil(5 * 2 ** failures * 1.2));
    }
    expect(waited[5]).toBeLessThanOrEqual(6);
  });

  test('the back-off begins at 5 ms and never passes 1000 s', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (failures, chance) => {
        const ms = retryDelayMs(failures, chance);
        return ms >= 4 && ms <= 1_000_000;
      }),
    );
    expect(retryDelayMs(0, 0.5)).toBe(5);
    expect(retryDelayMs(1000, 0.5)).toBe(1_000_000);
  });

  test('stopping frees who waits, and nothing is handed out any more', async () => {
    const queue = new WorkQueue();
    const waiting = [queue.next(), queue.next()];
    queue.addAfter('later', 10);
    queue.stop();
    queue.add('a');
    expect(await Promise.all([...waiting, queue.next()])).toEqual([undefined, undefined, undefined]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('tells its length', async () => {
    const lengths: number[] = [];
    const queue = new WorkQueue((length) => lengths.push(length));
    queue.add('a');
    queue.add('b');
    await queue.next();
    expect(lengths.at(-1)).toBe(1);
    expect(Math.max(...lengths)).toBe(2);
  });

  test('whatever is added and finished in whatever order, no key is out twice and none is lost', async () => {
    const step = fc.tuple(fc.constantFrom('add' as const, 'take' as const, 'finish' as const), fc.constantFrom('a', 'b', 'c'));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
        const queue = new WorkQueue();
        const out = new Set<string>();
        const owed = new Set<string>();
        const take = async () => {
          const key = (await queue.next())!;
          expect(out.has(key)).toBe(false);
          out.add(key);
          owed.delete(key);
        };
        for (const [what, key] of steps) {
          if (what === 'add') {
            queue.add(key);
            owed.add(key);
          } else if (what === 'take' && queue.length > 0) await take();
          else if (what === 'finish' && out.delete(key)) queue.done(key);
        }
        for (const key of out) queue.done(key);
        out.clear();
        while (queue.length > 0) await take();
        expect(owed.size).toBe(0);
      }),
    );
  });
});
