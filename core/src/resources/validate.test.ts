import { describe, expect, test } from 'vitest';
import type { Admission } from './custom-resource.ts';
import type { KubeObject } from './kinds.ts';
import { denialStatus, validateServer } from './validate.ts';

function verdictOn(spec: object | undefined, operation: 'CREATE' | 'UPDATE' | 'DELETE' = 'CREATE'): Admission {
  const object = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: 'a' }, ...(spec ? { spec } : {}) } as KubeObject;
  return validateServer({ operation, object: operation === 'DELETE' ? undefined : object, oldObject: operation === 'CREATE' ? undefined : object });
}

function statusOf(spec: object) {
  const verdict = verdictOn(spec);
  if (verdict.allowed) throw new Error('it was allowed');
  return denialStatus(verdict, { group: 'metal.sidero.dev', kind: 'Server', name: '4c4c-1' });
}

describe('a Server is allowed', () => {
  test.each<[string, object | undefined]>([
    ['without a spec', undefined],
    ['with nothing but accepted', { accepted: true }],
    ['with empty texts', { accepted: true, bootFromDiskMethod: '', pxeMode: '' }],
    ...['ipxe-exit', 'http-404', 'ipxe-sanboot'].map((method): [string, object] => [
      `that boots from disk by ${method}`,
      { bootFromDiskMethod: method },
    ]),
    ...['bios', 'uefi'].map((mode): [string, object] => [`that network-boots as ${mode}`, { pxeMode: mode }]),
    ['with every patch operation', { configPatches: ['add', 'copy', 'move', 'remove', 'replace', 'test'].map((op) => ({ op, path: '/a' })) }],
  ])('%s', (_, spec) => {
    expect(verdictOn(spec)).toEqual({ allowed: true });
  });

  test('to be removed whatever it holds', () => {
    expect(verdictOn(undefined, 'DELETE')).toEqual({ allowed: true });
  });
});

describe('a Server is denied', () => {
  test('for an unknown way to boot from disk', () => {
    expect(statusOf({ bootFromDiskMethod: 'bogus' })).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      reason: 'Invalid',
      code: 422,
      message:
        'Server.metal.sidero.dev "4c4c-1" is invalid: spec.bootFromDiskMethod: Invalid value: "bogus": valid values are: ["" "ipxe-exit" "http-404" "ipxe-sanboot"]',
      details: {
        name: '4c4c-1',
        group: 'metal.sidero.dev',
        kind: 'Server',
        causes: [
          {
            reason: 'FieldValueInvalid',
            field: 'spec.bootFromDiskMethod',
            message: 'Invalid value: "bogus": valid values are: ["" "ipxe-exit" "http-404" "ipxe-sanboot"]',
          },
        ],
      },
    });
  });

  test('for an unknown PXE mode, showing that mode', () => {
    expect(statusOf({ pxeMode: 'UEFI', bootFromDiskMethod: 'http-404' }).message).toBe(
      'Server.metal.sidero.dev "4c4c-1" is invalid: spec.pxeMode: Invalid value: "UEFI": valid values are: ["" "bios" "uefi"]',
    );
  });

  test('for an unknown patch operation, by its place', () => {
    expect(
      statusOf({
        configPatches: [
          { op: 'add', path: '/a' },
          { op: 'merge', path: '/b' },
        ],
      }).message,
    ).toBe(
      'Server.metal.sidero.dev "4c4c-1" is invalid: spec.configPatches.1.op: Invalid value: "merge": valid values are: ["add" "copy" "move" "remove" "replace" "test"]',
    );
  });

  test('on an update too, for everything that is wrong at once', () => {
    expect(verdictOn({ pxeMode: 'x', bootFromDiskMethod: 'y' }, 'UPDATE')).toMatchObject({ allowed: false });
    expect(statusOf({ pxeMode: 'x', bootFromDiskMethod: 'y', configPatches: [{ op: 'z', path: '/' }] }).message).toMatch(
      /is invalid: \[spec\.bootFromDiskMethod: .*, spec\.pxeMode: .*, spec\.configPatches\.0\.op: .*\]$/,
    );
  });
});

describe('a BMC', () => {
  const bmc = (interfaceName: string | undefined, port = 623) => ({
    bmc: { endpoint: '10.0.0.7', port, ...(interfaceName !== undefined && { interface: interfaceName }) },
  });
  const updated = (before: object, after: object, brought: readonly string[] = []) => {
    const [oldObject, object] = [before, after].map((spec) => ({ apiVersion: 'v', kind: 'Server', metadata: { name: 'a' }, spec }) as KubeObject);
    return validateServer({ operation: 'UPDATE', object, oldObject }, { bmcInterfaces: brought });
  };

  test.each([undefined, '', 'lanplus', 'lan', 'open'])('may have the interface %s', (named) => {
    expect(verdictOn(bmc(named))).toEqual({ allowed: true });
  });

  test('may have an interface that a plugin brought, and no other', () => {
    expect(updated({}, bmc('vendor'), ['vendor'])).toEqual({ allowed: true });
    expect(updated(bmc('lanplus'), bmc('vendor'))).toMatchObject({ allowed: false, errors: [{ field: 'spec.bmc.interface', value: 'vendor' }] });
    expect(statusOf(bmc('LANPLUS')).message).toContain('spec.bmc.interface: Invalid value: "LANPLUS": valid values are: ["" "lanplus" "lan" "open"]');
  });

  test.each([-1, 65_536])('has no port %s', (port) => {
    expect(statusOf(bmc('lan', port)).message).toContain(`spec.bmc.port: Invalid value: ${port}: must be a port from 0 to 65535`);
  });

  test('keeps what it has, whatever it is', () => {
    expect(updated(bmc('bogus', 70_000), { ...bmc('bogus', 70_000), accepted: true })).toEqual({ allowed: true });
    expect(updated(bmc('bogus', 70_000), bmc('bogus', 623))).toEqual({ allowed: true });
    expect(updated(bmc('bogus', 70_000), {})).toEqual({ allowed: true });
  });
});

test('a BadRequest is a sentence with code 400 and no details', () => {
  const status = denialStatus({ allowed: false, reason: 'BadRequest', message: 'spec is immutable' }, { group: 'g', kind: 'K', name: 'n' });
  expect(status).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'spec is immutable',
    reason: 'BadRequest',
    code: 400,
  });
});
