import { describe, expect, test } from 'vitest';
import type { KubeEvent, Server } from '../resources/kinds.ts';
import { diskTable } from './disk-table.ts';
import { whenText, whyOf, whyText } from './why.ts';

const now = new Date('2026-01-01T12:00:00Z');
const server: Server = {
  apiVersion: 'metal.sidero.dev/v1alpha2',
  kind: 'Server',
  metadata: { name: 'server-1', annotations: { 'metal.sidero.dev/power': 'off' } },
  status: {
    power: 'on',
    step: {
      name: 'Wiping',
      reason: 'disk 1 of 2',
      since: '2026-01-01T11:57:00Z',
      until: '2026-01-01T12:17:00Z',
      evidence: 'agent at 11:59:40',
      next: 'nothing is to be done',
    },
    powerAction: { action: 'network-boot', driver: 'management-api', purpose: 'wipe', state: 'done', since: '2026-01-01T11:56:00Z', attempt: 2 },
    wipe: {
      state: 'running',
      method: 'zero',
      attempt: 1,
      handedAt: '2026-01-01T11:58:00Z',
      disks: [
        { deviceName: '/dev/sda', state: 'running', method: 'zero', doneBytes: 250e9, sizeBytes: 1e12 },
        { serial: 'S1', state: 'failed', method: 'discard', problem: 'it cannot be opened' },
      ],
    },
    conditions: [{ type: 'PowerCycle', status: 'False', reason: 'InProgress', message: 'wiping', lastTransitionTime: '2025-12-31T11:00:00Z' }],
  },
};
const event = (message: string, lastTimestamp: string): KubeEvent => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: message },
  involvedObject: { kind: 'Server', name: 'server-1' },
  type: 'Warning',
  reason: 'Server Management',
  count: 3,
  lastTimestamp,
  message,
});

describe('why a server is where it is', () => {
  test('is told in aligned lines', () => {
    const events = [event('later', '2026-01-01T11:59:30Z'), event('earlier', '2026-01-01T11:59:00Z')];
    expect(whyText(whyOf(server, events), now)).toEqual([
      'Server server-1',
      '  state       Wiping: disk 1 of 2',
      '  since       11:57:00 (3 min ago)',
      '  until       12:17:00 (in 17 min)',
      '  evidence    agent at 11:59:40',
      '  next        nothing is to be done',
      '  power       on; a person wants it off',
      '  action      network-boot done, by management-api, for wipe, attempt 2, 11:56:00 (4 min ago)',
      '  wipe        running, zero, 11:58:00 (2 min ago)',
      '              /dev/sda running, zero, 25 %, 1 TB',
      '              S1 failed, discard: it cannot be opened',
      '  conditions  PowerCycle False InProgress, 2025-12-31 11:00:00 (25 h ago): wiping',
      '  events      11:59:00 (60 s ago) Warning Server Management (3 times): earlier',
      '              11:59:30 (30 s ago) Warning Server Management (3 times): later',
    ]);
  });

  test('has what plugins know, under their names', () => {
    const told = [
      { name: 'siderolink', lines: ['joined', 'heard'] },
      { name: 'other', lines: ['a fact'] },
    ];
    expect(whyText(whyOf(server, [], told), now)).toEqual(
      expect.arrayContaining(['  siderolink  joined', '              heard', '  other       a fact']),
    );
  });

  test('says that it is cordoned, whatever else is the matter', () => {
    expect(whyText(whyOf({ ...server, spec: { ...server.spec, cordoned: true } } as Server, []), now)).toContain(
      '  cordoned    nothing new is begun on it while it is free',
    );
  });

  test('is told of a Server that nobody has looked at yet', () => {
    const blank: Server = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: 'server-2' } };
    expect(whyText(whyOf(blank, []), now)).toEqual([
      'Server server-2',
      '  state       not told yet: no sidero that leads has looked at it',
      '  power       unknown',
    ]);
  });

  test('shows the last six Events', () => {
    const events = Array.from({ length: 9 }, (_, index) => event(`${index}`, `2026-01-01T11:59:0${index}Z`));
    expect(whyOf(server, events).events.map(({ message }) => message)).toEqual(['3', '4', '5', '6', '7', '8']);
  });

  test('shows a time that cannot be read as it is', () => {
    expect(whenText('soon', now)).toBe('soon');
  });
});

test('a plan of a wipe is a table', () => {
  const disks = [
    { deviceName: '/dev/nvme0n1', serial: 'S1', sizeBytes: 480e9, method: 'nvme-format', reason: 'all disks are wiped' },
    { deviceName: '/dev/sda', wwn: '0x5000', sizeBytes: 4e12, method: 'keep', reason: 'data' },
  ];
  expect(diskTable({ disks })).toEqual([
    'DISK          SERIAL  SIZE    METHOD       REASON',
    '/dev/nvme0n1  S1      480 GB  nvme-format  all disks are wiped',
    '/dev/sda      0x5000  4 TB    keep         data',
  ]);
  expect(diskTable({ method: 'zero' })).toEqual(['every disk: zero']);
});
