import { hasCode } from '@sidero/core';
import { expect, test } from 'vitest';
import { demoOptions } from './options.ts';

test('without arguments: three simulated machines that stay until Ctrl-C', () => {
  expect(demoOptions([])).toEqual({
    servers: 3,
    machines: 'simulated',
    isOnce: false,
    portBase: undefined,
    dataDir: undefined,
    timeoutMs: 120_000,
  });
});

test('QEMU machines get more time', () => {
  expect(demoOptions(['--machines', 'qemu'])?.timeoutMs).toBe(600_000);
});

test('--help asks for the help text', () => {
  expect(demoOptions(['--help'])).toBeUndefined();
});

test.each([
  [['--servers', '0']],
  [['--servers', 'many']],
  [['--servers=501']],
  [['--machines', 'real']],
  [['--port-base', '80']],
  [['--sevrers', '3']],
  [['stray']],
])('%j is refused with a next step', (args) => {
  try {
    demoOptions(args);
    expect.unreachable();
  } catch (thrown) {
    expect(hasCode(thrown, 'SIDERO_DEMO_OPTION_INVALID')).toBe(true);
  }
});
