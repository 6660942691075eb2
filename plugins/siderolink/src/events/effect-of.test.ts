import type { Condition, ServerBinding } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { addressFilter } from './address-filter.ts';
import { effectOf } from './effect-of.ts';
import type { TalosMessage } from './talos-message.ts';

const now = new Date('2026-02-11T12:42:02Z');
const lastTransitionTime = '2026-02-11T12:42:02Z';
const yes = (type: string) => ({ type, status: 'True', lastTransitionTime });
const no = (...[type, reason, severity, message]: [type: string, reason: string, severity: string, message?: string]) => ({
  type,
  status: 'False',
  severity,
  reason,
  ...(message && { message }),
  lastTransitionTime,
});

function after(message: TalosMessage, given: { conditions?: Condition[]; linkAddress?: string; filter?: string[] } = {}): ServerBinding | undefined {
  const { conditions, linkAddress = 'fdae:2859:5bb1:7a03::5', filter = [] } = given;
  const draft: ServerBinding = {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'ServerBinding',
    metadata: { name: 'u' },
    spec: { metalMachineRef: { name: 'mm-1' } },
    status: { ready: true, ...(conditions && { conditions }) },
  };
  const effect = effectOf(message, { linkAddress, isFiltered: addressFilter(filter), now });
  effect?.(draft);
  return effect && draft;
}

const sequence = (name: string, action: string, error?: { code: string; message: string }): TalosMessage => ({
  kind: 'sequence',
  sequence: name,
  action,
  error,
});
const phase = (name: string, action: string): TalosMessage => ({ kind: 'phase', phase: name, action });
const fatal = (message: string) => ({ code: 'FATAL', message });

describe('the table of effects', () => {
  test.each<[TalosMessage, object[]]>([
    [{ kind: 'config-load-error', error: 'bad yaml' }, [no('TalosConfigLoaded', 'TalosConfigLoadFailed', 'Error', 'bad yaml')]],
    [{ kind: 'config-validation-error', error: 'no disk' }, [no('TalosConfigValidated', 'TalosConfigValidationFailed', 'Error', 'no disk')]],
    [phase('install', 'START'), [no('TalosInstalled', 'TalosInstallationInProgress', 'Info')]],
    [phase('saveConfig', 'START'), [yes('TalosConfigLoaded'), yes('TalosConfigValidated')]],
    [sequence('install', 'NOOP', fatal('sequence failed: error running phase 8: unix.Reboot(1234567)')), [yes('TalosInstalled')]],
    [sequence('install', 'NOOP', fatal('no space')), [no('TalosInstalled', 'TalosInstallationFailed', 'Error', 'no space')]],
    [sequence('boot', 'START'), [yes('TalosConfigLoaded'), yes('TalosConfigValidated'), yes('TalosInstalled')]],
  ])('%j', (message, conditions) => {
    expect(after(message)?.status).toEqual({ ready: true, conditions });
  });

  test.each([
    phase('install', 'STOP'),
    phase('saveConfig', 'STOP'),
    phase('env', 'START'),
    sequence('boot', 'STOP'),
    sequence('boot', 'NOOP', fatal('x')),
    sequence('install', 'START'),
    sequence('install', 'NOOP', { code: 'LOCKED', message: 'x' }),
    sequence('install', 'NOOP', { code: 'CANCELED', message: 'x' }),
    sequence('upgrade', 'NOOP', fatal('x')),
    { kind: 'task', task: 't', action: 'START' },
    { kind: 'service', service: 's', action: 'RUNNING', message: '' },
    { kind: 'other' },
  ] satisfies TalosMessage[])('%j only tells', (message) => {
    expect(after(message)).toBeUndefined();
  });

  // The original takes an error that is not there for a FATAL one, and marks the installation failed.
  test('an installation without an error has not failed', () => {
    expect(after(sequence('install', 'NOOP'))).toBeUndefined();
  });
});

test('a condition that is so already keeps its time, and others stay', () => {
  const conditions: Condition[] = [
    { type: 'Other', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' },
    { type: 'TalosInstalled', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' },
  ];
  expect(after(sequence('boot', 'START'), { conditions })?.status?.conditions).toEqual([
    conditions[0],
    yes('TalosConfigLoaded'),
    yes('TalosConfigValidated'),
    conditions[1],
  ]);
});

describe('addresses', () => {
  const address = (...addresses: string[]): TalosMessage => ({ kind: 'address', hostname: 'pxe-2', addresses });
  const spec = (...given: Parameters<typeof after>) => after(...given)?.spec;

  test('as the original stores them', () => {
    const told = address('172.25.0.5', '127.0.0.1', '10.1.2.3', 'bogus', 'fe80::1', '2001:db8::1', '172.25.0.5');
    expect(spec(told, { linkAddress: '127.0.0.1', filter: ['10.0.0.0/8'] })).toMatchObject({
      hostname: 'pxe-2',
      addresses: ['172.25.0.5', 'fe80::1', '2001:db8::1', '172.25.0.5'],
    });
  });

  test("the machine's own in the tunnel is left out, however it is written", () => {
    expect(spec(address('fdae:2859:5bb1:7a03:0:0:0:5', 'FDAE:2859:5BB1:7A03::6'))?.addresses).toEqual(['FDAE:2859:5BB1:7A03::6']);
  });

  test('prefixes of both kinds', () => {
    const filter = ['10.244.0.0/16', 'fd00:10::/32', '192.0.2.1/32'];
    expect(spec(address('10.244.1.1', '10.245.1.1', 'fd00:10::1', 'fd00:11::1', '192.0.2.1', '192.0.2.2'), { filter })?.addresses).toEqual([
      '10.245.1.1',
      'fd00:11::1',
      '192.0.2.2',
    ]);
  });

  test('more than any machine has is cut off', () => {
    const many = Array.from({ length: 1000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    const told = spec({ kind: 'address', hostname: 'h'.repeat(1000), addresses: many });
    expect([told?.addresses, told?.hostname?.length]).toEqual([many.slice(0, 256), 253]);
  });

  test('a machine may have none, and no name', () => {
    expect(spec({ kind: 'address', hostname: '', addresses: ['300.1.1.1', '', 'fe80::1%eth0'] })).toMatchObject({
      hostname: '',
      addresses: ['fe80::1%eth0'],
    });
  });
});
