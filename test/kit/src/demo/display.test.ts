import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DemoView, duration, frame, type MachineView, plainLine, progress } from './display.ts';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 10);

const aMachine = (given: Partial<MachineView> = {}): MachineView => ({
  name: '4c4c4544',
  state: { stage: 'off', sinceMs: NOW - 1200 },
  isAccepted: false,
  ...given,
});

const aView = (machines: readonly MachineView[], width = 120): DemoView => ({ title: 'demo', machines, nowMs: NOW, deadlineMs: NOW + 48_000, width });

test('a machine in a transfer shows file, bytes and a bar', () => {
  const machine = aMachine({
    state: { stage: 'kernel', sinceMs: NOW - 1200 },
    transfer: { file: '/env/agent-amd64/vmlinuz', receivedBytes: 4_000_000, totalBytes: 8_000_000 },
  });
  expect(frame(aView([machine]))[1]).toBe('  4c4c4544  kernel        1.2 s  [##########..........] 4.0 MB of 8.0 MB  /env/agent-amd64/vmlinuz');
});

test('a waiting machine says for what and for how long', () => {
  const machine = aMachine({ state: { stage: 'registered', sinceMs: NOW - 12_000, untilMs: NOW + 3000 } });
  expect(frame(aView([machine]))[1]).toBe('  4c4c4544  registered     12 s  waits for acceptance, 3.0 s more');
});

test('a failed machine says why', () => {
  const machine = aMachine({ state: { stage: 'failed', sinceMs: NOW, detail: 'TFTP of undionly.kpxe: error 1: File not found' } });
  expect(frame(aView([machine]))[1]).toContain('failed        0.0 s  TFTP of undionly.kpxe: error 1: File not found');
});

test('only what the API calls accepted counts, whatever the machine believes', () => {
  const believes = aMachine({ state: { stage: 'accepted', sinceMs: NOW } });
  expect(frame(aView([believes])).at(-1)).toBe('0 of 1 accepted, 48 s left');
  expect(frame(aView([believes]))[1]).toContain('registered');
  expect(frame(aView([{ ...believes, isAccepted: true }])).at(-1)).toBe('all 1 accepted');
});

test('a plain line has the time of day, the machine and its state', () => {
  expect(plainLine(aMachine({ state: { stage: 'tftp', sinceMs: NOW, untilMs: NOW + 6000, detail: 'snp.efi' } }), NOW)).toBe(
    '12:00:10.000 4c4c4544 TFTP  waits for the boot file until 12:00:16.000 (snp.efi)',
  );
});

test('a transfer of unknown size has no bar', () => {
  expect(progress({ file: 'x', receivedBytes: 1_500_000, totalBytes: undefined })).toBe('1.5 MB  x');
});

test('durations read well from milliseconds to minutes', () => {
  expect([0, 949, 9940, 9960, 59_400, 60_000, 185_000].map(duration)).toEqual(['0.0 s', '0.9 s', '9.9 s', '10 s', '59 s', '1 min 0 s', '3 min 5 s']);
});

test('no line is wider than the terminal, and every machine has one', () => {
  const machine = fc.record({
    name: fc.string({ maxLength: 12 }),
    isAccepted: fc.boolean(),
    state: fc.record(
      { stage: fc.constantFrom('off', 'tftp', 'kernel', 'failed', 'accepted'), sinceMs: fc.nat(NOW), detail: fc.string() },
      { requiredKeys: ['stage', 'sinceMs'] },
    ),
    transfer: fc.option(fc.record({ file: fc.string(), receivedBytes: fc.nat(), totalBytes: fc.option(fc.nat(), { nil: undefined }) }), {
      nil: undefined,
    }),
  });
  fc.assert(
    fc.property(fc.array(machine, { maxLength: 5 }), fc.integer({ min: 20, max: 200 }), (machines, width) => {
      const lines = frame(aView(machines as MachineView[], width));
      expect(lines).toHaveLength(machines.length + 2);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
    }),
  );
});
