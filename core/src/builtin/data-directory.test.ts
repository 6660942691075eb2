import { expect, test } from 'vitest';
import { isShort } from './data-directory.ts';

const room = (freeBytes: number, sizeBytes: number) => ({ freeBytes, sizeBytes });

test.each([
  ['512 MB of a large disk', room(512e6, 1e12), false],
  ['less', room(511e6, 1e12), true],
  ['a twentieth of a small disk', room(50e6, 1e9), false],
  ['less', room(49e6, 1e9), true],
  ['none of it', room(0, 1e9), true],
])('%s', (_, given, isWanted) => {
  expect(isShort(given, false)).toBe(isWanted);
});

test('room that was short is so until there is twice as much', () => {
  expect([isShort(room(1023e6, 1e12), true), isShort(room(1024e6, 1e12), true)]).toEqual([true, false]);
});
