import { expect, test } from 'vitest';
import { kernelLogRecord } from './console.ts';

test('a line carries level and prefix', () => {
  expect(kernelLogRecord('accepted, waiting', 'info')).toBe('<5>[sidero] accepted, waiting\n');
  expect(kernelLogRecord('no answer', 'error')).toBe('<3>[sidero] no answer\n');
});

test('tabs and escapes become blanks', () => {
  expect(kernelLogRecord('a\tb\u001b[2Jc', 'info')).toBe('<5>[sidero] a b [2Jc\n');
});

test('a long line is cut where the kernel would cut it, between characters', () => {
  const record = kernelLogRecord('ü'.repeat(1000), 'info');
  expect(Buffer.byteLength(record.slice(3, -1))).toBeLessThanOrEqual(976);
  expect(record).toMatch(/ü\.\.\.\n$/);
});
