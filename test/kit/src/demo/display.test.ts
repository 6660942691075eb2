import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bar, type DemoView, duration, frame, type MachineView, plainLine } from './display.ts';
import { CLEAN, INSTALLED, type Standing, UNKNOWN } from './standing.ts';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 10);

const aMachine = (given: Partial<MachineView> = {}): MachineView => ({
  name: '4c4c4544',
  state: { stage: 'off', sinceMs: NOW - 1200 },
  standing: UNKNOWN,
  ...given,
});

const aView = (machines: readonly MachineView[], width = 120): DemoView => ({
  title: 'demo',
  goal: CLEAN,
  machines,
  logs: [],
  nowMs: NOW,
  deadlineMs: NOW + 48_000,
  width,
});

test('a machine in a transfer shows file, bytes and a bar', () => {
  const machine = aMachine({
    state: { stage: 'kernel', sinceMs: NOW - 1200 },
    progress: { subject: '/env/agent-amd64/vmlinuz', doneBytes: 4_000_000, totalBytes: 8_000_000 },
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

const ACCEPTED: Standing = { ...UNKNOWN, isAccepted: true };
const DONE: Standing = { ...ACCEPTED, isClean: true, isOff: true, isWiped: true };

test('a machine that is wiped shows the bytes of all its disks', () => {
  const state = { stage: 'wiping', sinceMs: NOW - 1200 } as const;
  const progress = { subject: '6 disks', doneBytes: 5_000_000_000_000, totalBytes: 10_000_000_000_000 };
  const shown = 'wiping        1.2 s  [##########..........] 5.0 TB of 10.0 TB  6 disks';
  expect(frame(aView([aMachine({ state, standing: ACCEPTED, progress })]))[1]).toContain(shown);
  // A machine of which nothing is seen but what the API says.
  expect(frame(aView([aMachine({ state, standing: { ...ACCEPTED, wipe: progress } })]))[1]).toContain(shown);
});

test('only what the API says counts, whatever the machine believes', () => {
  const accepted = aMachine({ state: { stage: 'accepted', sinceMs: NOW } });
  expect(frame(aView([accepted])).at(-1)).toBe('0 of 1 accepted, 0 clean and off, 48 s left');
  expect(frame(aView([accepted]))[1]).toContain('registered');
  const clean = aMachine({ state: { stage: 'clean', sinceMs: NOW }, standing: ACCEPTED });
  expect(frame(aView([clean])).at(-1)).toBe('1 of 1 accepted, 0 clean and off, 48 s left');
  expect(frame(aView([clean]))[1]).toContain('wiping');
  const off = aMachine({ state: { stage: 'off', sinceMs: NOW, detail: 'it was switched off' }, standing: DONE });
  expect(frame(aView([off])).at(-1)).toBe('all 1 clean and off');
  expect(frame(aView([off]))[1]).toBe('  4c4c4544  off           0.0 s  clean');
});

test('a clean machine that is still on says what it waits for', () => {
  const machine = aMachine({ state: { stage: 'clean', sinceMs: NOW - 2000 }, standing: { ...ACCEPTED, isClean: true } });
  expect(frame(aView([machine]))[1]).toContain('clean         2.0 s  waits for the power to go off');
  const stuck = { ...machine, standing: { ...machine.standing, trouble: 'no answer from its BMC' } };
  expect(frame(aView([stuck]))[1]).toContain('waits for the power to go off (no answer from its BMC)');
});

test('a node that runs is done once the API says that it is installed, and its log has been heard; the newest of that is shown', () => {
  const state = { stage: 'running', sinceMs: NOW } as const;
  const logs = ['4c4c4544 [talos] phase boot (1/1): 1 tasks(s)'];
  const view = (standing: Partial<Standing>) => ({ ...aView([aMachine({ state, standing: { ...ACCEPTED, ...standing } })]), goal: INSTALLED, logs });
  const lines = frame(view({ isInstalled: true }));
  expect(lines.at(-1)).toBe('1 of 1 accepted, 0 installed and streaming, 48 s left');
  expect(lines.at(-2)).toBe('  | 4c4c4544 [talos] phase boot (1/1): 1 tasks(s)');
  expect(frame(view({ isInstalled: true, isStreaming: true })).at(-1)).toBe('all 1 installed and streaming');
});

test('a plain line has the time of day, the machine and its state', () => {
  expect(plainLine(aMachine({ state: { stage: 'tftp', sinceMs: NOW, untilMs: NOW + 6000, detail: 'snp.efi' } }), NOW)).toBe(
    '12:00:10.000 4c4c4544 TFTP  waits for the boot file until 12:00:16.000 (snp.efi)',
  );
});

test('a transfer of unknown size has no bar', () => {
  expect(bar({ subject: 'x', doneBytes: 1_500_000, totalBytes: undefined })).toBe('1.5 MB  x');
});

test('durations read well from milliseconds to minutes', () => {
  expect([0, 949, 9940, 9960, 59_400, 60_000, 185_000].map(duration)).toEqual(['0.0 s', '0.9 s', '9.9 s', '10 s', '59 s', '1 min 0 s', '3 min 5 s']);
});

test('no line is wider than the terminal, and every machine has one', () => {
  const machine = fc.record({
    name: fc.string({ maxLength: 12 }),
    standing: fc.record({ isAccepted: fc.boolean(), isClean: fc.boolean(), isOff: fc.boolean() }).map((some): Standing => ({ ...UNKNOWN, ...some })),
    state: fc.record(
      { stage: fc.constantFrom('off', 'tftp', 'kernel', 'failed', 'accepted', 'wiping', 'clean'), sinceMs: fc.nat(NOW), detail: fc.string() },
      { requiredKeys: ['stage', 'sinceMs'] },
    ),
    progress: fc.option(fc.record({ subject: fc.string(), doneBytes: fc.nat(), totalBytes: fc.option(fc.nat(), { nil: undefined }) }), {
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
