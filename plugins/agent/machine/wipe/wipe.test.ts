import { status } from '@grpc/grpc-js';
import type { DiskResult } from '@sidero/plugin-agent/protocol';
import { expect, test } from 'vitest';
import { aDisk, aMachineWith, type DiskFixture } from './disk.fixture.ts';
import { planOf, runWipe, type WipeRun } from './wipe.ts';

const MIB = 1024 * 1024;
type Call = { readonly method: string; readonly disks: readonly Partial<DiskResult>[]; readonly message?: string };
type Beat = { stop?: boolean; stopReason?: string } | Error;

const refusal = (code: status, details: string) => Object.assign(new Error(details), { code, details });

/** A management plane that answers heartbeats with these, the last one again and again. */
function aPlane(...beats: Beat[]) {
  const calls: Call[] = [];
  const note = (method: string) => async (request: { disks?: unknown; message?: string }) => {
    calls.push(structuredClone({ method, disks: request.disks as Call['disks'], ...(request.message && { message: request.message }) }));
    const beat = method === 'heartbeat' ? (beats.length > 1 ? beats.shift()! : (beats[0] ?? {})) : {};
    if (beat instanceof Error) throw beat;
    return { token: '', stop: false, stopReason: '', ...beat } as never;
  };
  const client: WipeRun['client'] = {
    heartbeat: note('heartbeat'),
    markServerAsWiped: note('markServerAsWiped'),
    reportFailure: note('reportFailure'),
  };
  return { client, calls };
}

type Given = { readonly plan?: Parameters<typeof runWipe>[1]['plan']; readonly files?: Readonly<Record<string, string>> };

async function wipe(disks: Record<string, DiskFixture>, plane = aPlane(), { plan = { method: 'zero', disks: [] }, files = {} }: Given = {}) {
  const machine = aMachineWith(disks);
  for (const [path, text] of Object.entries(files)) machine.files.set(path, text);
  const run: WipeRun = { machine, client: plane.client, uuid: 'u', target: 'plane:8081', signal: new AbortController().signal };
  const isWiped = await runWipe(run, { plan, stallMs: 60_000 });
  return { isWiped, machine, calls: plane.calls, last: plane.calls.at(-1)! };
}

const untouched = (disk: DiskFixture) => Buffer.compare(disk.bytes, aDisk(disk.bytes.length).bytes) === 0;

test('all disks are wiped after the management plane was asked once more, and each is told of', async () => {
  const disks = { sda: aDisk(4 * MIB), sdb: aDisk(2 * MIB), nvme0n1: aDisk(MIB) };
  const { isWiped, calls, last, machine } = await wipe(disks);
  expect(isWiped).toBe(true);
  expect(calls[0]).toMatchObject({ method: 'heartbeat', disks: [{ state: 'pending' }, { state: 'pending' }, { state: 'pending' }] });
  expect(last).toMatchObject({
    method: 'markServerAsWiped',
    disks: [
      { deviceName: '/dev/nvme0n1', serial: 'S-nvme0n1', method: 'zero', state: 'done', sizeBytes: BigInt(MIB), doneBytes: BigInt(MIB) },
      { deviceName: '/dev/sda', state: 'done', samples: expect.toSatisfy((count) => count > 30) },
      { deviceName: '/dev/sdb', state: 'done' },
    ],
  });
  expect(
    Object.values(disks).every(({ bytes, opened, asked }) => bytes.every((byte) => byte === 0) && opened === 0 && asked.includes('rereadPartitions')),
  ).toBe(true);
  expect(machine.said).toContain('wipe complete');
});

test('nothing is written when the management plane says stop just before', async () => {
  const disk = aDisk(MIB);
  const { isWiped, calls, last } = await wipe({ sda: disk }, aPlane({ stop: true, stopReason: 'the Server is allocated' }));
  expect([isWiped, untouched(disk), calls.length]).toEqual([false, true, 2]);
  expect(last).toMatchObject({ method: 'reportFailure', message: 'stopped before anything was written: the Server is allocated' });
});

test('nothing is written when the management plane does not know the machine any more', async () => {
  const disk = aDisk(MIB);
  const { isWiped } = await wipe({ sda: disk }, aPlane(refusal(status.UNAUTHENTICATED, 'its boot token is of an earlier boot')));
  expect([isWiped, untouched(disk)]).toEqual([false, true]);
});

test('silence before the first write is waited out, and given up after five minutes', async () => {
  const silence = refusal(status.UNAVAILABLE, 'down');
  expect((await wipe({ sda: aDisk(MIB) }, aPlane(silence, silence, {}))).isWiped).toBe(true);
  const disk = aDisk(MIB);
  expect((await wipe({ sda: disk }, aPlane(silence))).isWiped).toBe(false);
  expect(untouched(disk)).toBe(true);
});

test('a disk to be kept is never opened', async () => {
  const kept = aDisk(MIB);
  const { last } = await wipe({ sda: aDisk(MIB), sdb: kept }, aPlane(), {
    plan: { method: 'zero', disks: [{ serial: 'S-sdb', method: 'keep', reason: 'holds the images' }] },
  });
  expect(last.disks[1]).toMatchObject({ state: 'kept', method: 'keep', reason: 'holds the images', samples: 0 });
  expect([untouched(kept), kept.asked]).toEqual([true, []]);
});

test.each([
  ['cannot be opened', { refuses: 'EBUSY' }, 'cannot be opened: it is in use (EBUSY)'],
  ['fails in the middle', { failsAt: MIB }, 'cannot be written at byte 0: input/output error (EIO)'],
])('a disk that %s fails the wipe, the others are wiped first', async (...[, wrong, words]) => {
  const good = aDisk(2 * MIB);
  const { isWiped, last } = await wipe({ sda: aDisk(2 * MIB, wrong), sdb: good });
  expect(isWiped).toBe(false);
  expect(last).toMatchObject({
    method: 'reportFailure',
    message: expect.stringContaining(`/dev/sda ${words}`),
    disks: [{ state: 'failed', problem: expect.stringContaining(words) }, { state: 'done' }],
  });
  expect(good.bytes.every((byte) => byte === 0)).toBe(true);
});

test('a method this agent does not know fails, and nothing weaker is done', async () => {
  const disk = aDisk(MIB);
  const { last } = await wipe({ sda: disk }, aPlane(), {
    plan: planOf({ insecureWipe: true, wipePlan: { method: 'burn', rules: [] } as never }),
  });
  expect(last).toMatchObject({ method: 'reportFailure', message: expect.stringContaining('does not know the method "burn"') });
  expect(untouched(disk)).toBe(true);
});

test('stops in the middle when a heartbeat says so, and tells how far it was', async () => {
  const disk = aDisk(512 * MIB, { onWrite: () => new Promise((resolve) => setTimeout(resolve, 5)) });
  const { isWiped, last } = await wipe({ sda: disk }, aPlane({}, { stop: true, stopReason: 'the Server is allocated' }));
  expect(isWiped).toBe(false);
  expect(last).toMatchObject({ method: 'reportFailure', message: 'stopped as the management plane says: the Server is allocated' });
  expect(disk.asked.length).toBeLessThan(8);
});

test('a disk that does not move is given up after the time for it, and told, although it never answers', async () => {
  const disk = aDisk(MIB, { onWrite: () => new Promise(() => undefined) });
  const { isWiped, last, machine } = await wipe({ sda: disk });
  expect(isWiped).toBe(false);
  expect(last).toMatchObject({ method: 'reportFailure', message: 'nothing moved for 60 s', disks: [{ state: 'running', doneBytes: 0n }] });
  expect(machine.now()).toBeGreaterThanOrEqual(100_000);
});

test('a heartbeat under way is cancelled before the success is told, so that none comes late', async () => {
  const order: string[] = [];
  const plane = aPlane();
  let beats = 0;
  const client: WipeRun['client'] = {
    ...plane.client,
    heartbeat: (request, options) => {
      if (beats++ === 0) return plane.client.heartbeat(request, options);
      order.push('heartbeat');
      return new Promise((_, reject) => {
        options?.signal?.addEventListener('abort', () => {
          order.push('cancelled');
          reject(options.signal?.reason as Error);
        });
      });
    },
    markServerAsWiped: async () => {
      order.push('wiped');
      return {} as never;
    },
  };
  const slow = aDisk(256 * MIB, { onWrite: () => new Promise((resolve) => setTimeout(resolve, 5)) });
  expect((await wipe({ sda: slow }, { ...plane, client })).isWiped).toBe(true);
  expect(order).toEqual(['heartbeat', 'cancelled', 'wiped']);
});

test('a disk that is read-only or another one than a moment ago is a failure, and is not written to', async () => {
  const disks = { sda: aDisk(MIB), sdb: aDisk(MIB) };
  const files = { '/sys/block/sda/ro': '1', '/sys/block/sdb/size': '4096' };
  const { last } = await wipe(disks, aPlane(), { files });
  expect(last.disks).toMatchObject([
    { state: 'failed', problem: 'it is read-only' },
    { state: 'failed', problem: expect.stringContaining('a moment ago') },
  ]);
  expect(Object.values(disks).every(untouched)).toBe(true);
});

test('what the controller of a kept disk would do to it too is not done', async () => {
  const disks = { nvme0n1: aDisk(MIB), nvme0n2: aDisk(MIB), nvme1n1: aDisk(MIB) };
  const { last } = await wipe(disks, aPlane(), { plan: { method: 'nvme-sanitize', disks: [{ serial: 'S-nvme0n2', method: 'keep', reason: '' }] } });
  expect(last.disks.map(({ problem }) => problem)).toEqual([
    'a sanitize would also erase /dev/nvme0n2, which is to be kept',
    '',
    expect.stringContaining('does not take such commands'),
  ]);
});

test('what the disk has not written yet is written before the success is told', async () => {
  const disk = aDisk(MIB);
  await wipe({ sda: disk }, aPlane(), { plan: { method: 'discard', disks: [] } });
  expect(disk.asked).toEqual(['discard', 'flush', 'rereadPartitions']);
});

test('no heartbeat follows the success, and a machine without disks is wiped', async () => {
  const { isWiped, calls } = await wipe({});
  expect([isWiped, calls.map(({ method }) => method)]).toEqual([true, ['heartbeat', 'markServerAsWiped']]);
});

test('the server of the original means every disk, in its two ways', () => {
  expect(planOf({ insecureWipe: true })).toEqual({ method: 'insecure', disks: [] });
  expect(planOf({ insecureWipe: false })).toEqual({ method: 'zero', disks: [] });
});
