import { expect, test } from 'vitest';
import { parseKernelArgs } from './kernel-args.ts';

test('the three parameters are read, the first value wins', () => {
  const args = parseKernelArgs('quiet sidero.mac=52:54:00:AB:cd:ef sidero.endpoint=[fd00::1]:8081 sidero.token=b.e.m sidero.endpoint=10.0.0.9:1\n');
  expect(args).toEqual({ mac: '52:54:00:ab:cd:ef', endpoint: '[fd00::1]:8081', token: 'b.e.m' });
});

test('what iPXE leaves empty is absent', () => {
  expect(parseKernelArgs('sidero.mac sidero.endpoint= xsidero.token=1')).toEqual({ mac: undefined, endpoint: undefined, token: undefined });
});

test('a MAC that does not parse is absent', () => {
  expect(parseKernelArgs('sidero.mac=52:54:00').mac).toBeUndefined();
  expect(parseKernelArgs('sidero.mac=52-54-00-AB-CD-EF').mac).toBe('52:54:00:ab:cd:ef');
});
