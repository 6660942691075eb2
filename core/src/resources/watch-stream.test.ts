import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lines, parseWatchEvent } from './watch-stream.ts';

async function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const size of [...sizes, bytes.length]) {
    yield bytes.subarray(start, start + size);
    start += size;
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

describe('a watch stream', () => {
  test('gives the same lines however its bytes are cut', async () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !text.includes('\n')));
    await fc.assert(
      fc.asyncProperty(texts, fc.array(fc.nat(7)), async (expected, sizes) => {
        const bytes = new TextEncoder().encode(expected.map((text) => `${text}\n`).join(''));
        // The decoder takes a byte order mark for itself, as any reader of UTF-8 may.
        if (expected[0]?.startsWith('\uFEFF')) return;
        expect(await all(lines(chunksOf(bytes, sizes)))).toEqual(expected);
      }),
    );
  });

  test('drops a last line that was cut off', async () => {
    expect(await all(lines(chunksOf(new TextEncoder().encode('{"a":1}\n{"b"'), [])))).toEqual(['{"a":1}']);
  });

  test.each([
    ['ADDED', 'put'],
    ['MODIFIED', 'put'],
    ['DELETED', 'removed'],
  ])('reads %s', (type, read) => {
    const object = { metadata: { name: 'a', resourceVersion: '7' } };
    expect(parseWatchEvent(JSON.stringify({ type, object }))).toEqual({ type: read, object });
  });

  test('reads bookmarks and errors', () => {
    expect(parseWatchEvent('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}')).toEqual({ type: 'bookmark', version: '9' });
    expect(parseWatchEvent('{"type":"ERROR","object":{"code":410,"message":"too old"}}')).toEqual({ type: 'error', status: 410, reason: 'too old' });
    expect(parseWatchEvent('{"type":"ERROR","object":{}}')).toEqual({ type: 'error', status: 500, reason: 'unknown' });
  });

  test('anything else is no event, and no crash', () => {
    const near = fc.record(
      {
        type: fc.constantFrom('ADDED', 'DELETED', 'BOOKMARK', 'ERROR', 'X'),
        object: fc.oneof(fc.anything(), fc.record({ metadata: fc.anything() })),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          near.map((event) => JSON.stringify(event) ?? ''),
        ),
        (line) => {
          const event = parseWatchEvent(line);
          if (event?.type === 'put' || event?.type === 'removed') expect(typeof event.object.metadata.name).toBe('string');
        },
      ),
      { numRuns: 1000 },
    );
  });
});
