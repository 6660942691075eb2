import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DiskOutcome } from '../hooks.ts';
import type { Server, ServerStatus } from '../resources/kinds.ts';
import { handedRecord, heldByRecord, lacking, plannedDisks, progressed } from './wipe-record.ts';

const aServer = (status: ServerStatus): Server => ({
  apiVersion: 'metal.sidero.dev/v1alpha2',
  kind: 'Server',
  metadata: { name: 's1' },
  spec: {
    accepted: true,
    hardware: {
      storage: {
        devices: [
          { deviceName: '/dev/sda', serialNumber: 'A', size: 1000 },
          { deviceName: '/dev/sdb', wwid: 'naa.5', size: 2000 },
          { deviceName: '/dev/vda', size: 3000 },
        ],
      },
    },
  },
  status,
});
const server = aServer({ isClean: false });
const plan = { method: 'zero', disks: [] } as const;
const planned = plannedDisks(server, plan);
const state = fc.constantFrom('pending', 'running', 'done', 'kept', 'failed');
const anOutcome: fc.Arbitrary<DiskOutcome> = fc.record(
  {
    deviceName: fc.constantFrom('/dev/sda', '/dev/sdb', '/dev/x'),
    serial: fc.string(),
    wwn: fc.string(),
    state,
    doneBytes: fc.nat(),
    problem: fc.string(),
  },
  { requiredKeys: ['deviceName', 'state'] },
);

test('whatever a machine tells, only when every disk is done nothing is lacking', () => {
  fc.assert(
    fc.property(
      fc.array(state, { minLength: planned.length, maxLength: planned.length }),
      fc.nat(planned.length),
      fc.array(state),
      (own, left, more) => {
        const known = planned.map((disk, index): DiskOutcome => ({ ...disk, state: own[index]! })).slice(left);
        const told = [...known, ...more.map((one, index): DiskOutcome => ({ deviceName: `/dev/x${index}`, state: one }))];
        const isAll = left === 0 && told.every((disk) => disk.state === 'done');
        expect(lacking(planned, { told, plan }).length === 0).toBe(isAll);
      },
    ),
  );
});

test('whatever a machine tells, its record keeps every planned disk, and never goes back to handed', () => {
  const record = handedRecord(server, { plan, bootId: 'b', isByDisk: true, at: '2026-11-22T12:00:00.000Z' });
  fc.assert(
    fc.property(fc.array(anOutcome, { maxLength: 5 }), fc.nat(3_600_000), (told, laterMs) => {
      const next = progressed(record, { told, now: new Date(Date.parse(record.handedAt!) + laterMs), stallMs: 1_200_000 });
      expect(next?.disks?.length ?? planned.length).toBeGreaterThanOrEqual(planned.length);
      expect(next?.state ?? 'running').toBe('running');
    }),
  );
});

test.each([
  [{ state: 'stalled', attempt: 1 }, 'stalled'],
  [{ state: 'failed', attempt: 3, message: 'sda is gone' }, 'failed 3 times (sda is gone)'],
  [{ state: 'failed', attempt: 2 }, undefined],
  [{ state: 'running', attempt: 3 }, 'never ended'],
  [{ state: 'done', attempt: 3 }, undefined],
  [{ state: 'planned', attempt: 0 }, undefined],
])('after a wipe that was %o another is held back: %s', (wipe, words) => {
  const held = heldByRecord(aServer({ wipe }));
  expect(held).toEqual(words && expect.stringContaining(words));
});
