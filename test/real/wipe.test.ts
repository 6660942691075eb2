import { definePlugin, type Plugin, type Server, ServerBindingKind, ServerKind, type Sidero, type WipePlan } from '@sidero/core';
import { aBinding, aServerClass, type TestSidero, testSidero } from '@sidero/testing';
import { type Child, thisHost } from '@sidero/testing/qemu';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { AGENT_IMAGE } from './pxe-site.ts';

const MIB = 1024 * 1024;
const SIZE = 48 * MIB;
const uuid = '4c4c4544-0039-3010-8047-c4c04f4e4d33';
const mac = '52:54:00:12:34:60';
const hasQemu = spawnSync('qemu-system-x86_64', ['--version']).status === 0;

/** A disk of the machine, and the options its drive and its device have. */
interface Disk {
  readonly name: string;
  readonly device: string;
  readonly drive?: string;
}

/** Any rules for the plan, and whatever else is to happen while it is made. */
function planner(disks: WipePlan['disks'], meanwhile: (sidero: Sidero) => Promise<void> = async () => undefined): Plugin {
  return definePlugin({
    name: 'planner',
    options: z.strictObject({}),
    setup(sidero) {
      sidero.hooks.wipe.tapPromise('planner', async (plan) => {
        await meanwhile(sidero);
        return 'hold' in plan ? plan : { ...plan, disks: [...disks, ...plan.disks] };
      });
    },
  })();
}

/** A machine that runs the agent with the token of its boot, on a network where 10.0.2.2 is this host. */
async function bootAgent(sidero: TestSidero, folder: string, disks: readonly Disk[]): Promise<Child> {
  const plan = await sidero.lifecycle.boot({ uuid, mac, arch: 'amd64', address: '127.0.0.1' });
  const token = 'args' in plan ? plan.args.find((arg) => arg.startsWith('sidero.token=')) : undefined;
  const args = ['console=ttyS0', 'printk.devkmsg=on', `sidero.mac=${mac}`, `sidero.endpoint=10.0.2.2:${sidero.ports.http}`, token];
  const options = [
    ['-accel', 'tcg', '-cpu', 'max', '-machine', 'q35', '-m', '512', '-smp', '2'],
    ['-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-uuid', uuid],
    ['-kernel', join(AGENT_IMAGE, 'vmlinuz'), '-initrd', join(AGENT_IMAGE, 'initramfs.xz'), '-append', args.join(' ')],
    ['-netdev', 'user,id=net', '-device', `virtio-net-pci,netdev=net,mac=${mac},romfile=`],
    ...disks.map(({ name, device, drive = '' }) => [
      '-drive',
      `if=none,id=${name},format=raw,file=${join(folder, name)}${drive}`,
      '-device',
      `${device},drive=${name},serial=${name}`,
    ]),
  ];
  return thisHost.start(['qemu-system-x86_64', ...options.flat()], { name: 'machine' });
}

/** Fills the disks, lets the machine do its work, and gives what is on them then, beside what was. */
async function run(given: { disks: readonly Disk[]; plugins: readonly Plugin[]; keeps?: string; until: (server: Server | undefined) => void }) {
  const folder = await mkdtemp(join(tmpdir(), 'sidero-wipe-'));
  const before = new Map(given.disks.map(({ name }) => [name, withPartition(randomBytes(SIZE))]));
  for (const [name, bytes] of before) await writeFile(join(folder, name), bytes);
  const keeping = aServerClass({ metadata: { name: 'keeping', annotations: { 'metal.sidero.dev/keep-disks': given.keeps ?? 'serial:none' } } });
  const sidero = await testSidero({ plugins: given.plugins, objects: [keeping] });
  const machine = await bootAgent(sidero, folder, given.disks);
  try {
    const look = async () => {
      const server = await sidero.resources.get(ServerKind, { name: uuid }, { live: true });
      given.until(server);
      return server!;
    };
    const server = await vi.waitFor(look, { timeout: 240_000, interval: 500 });
    await machine.line(/\[sidero\] (wipe complete|the wipe failed)/, { timeoutMs: 30_000 });
    await machine.stop();
    const after = new Map<string, Buffer>();
    for (const name of before.keys()) after.set(name, await readFile(join(folder, name)));
    return { server, before, after, lines: machine.lines };
  } catch (cause) {
    throw new Error(`the machine did not get there:\n${machine.lines.slice(-40).join('\n')}`, { cause });
  } finally {
    await machine.stop();
    await sidero.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** With a table of one partition in its first sector: 16 MiB from 16 MiB on. */
function withPartition(disk: Buffer): Buffer {
  disk.fill(0, 446, 510);
  disk[446 + 4] = 0x83;
  disk.writeUInt32LE((16 * MIB) / 512, 446 + 8);
  disk.writeUInt32LE((16 * MIB) / 512, 446 + 12);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}

const disksOf = (server: Server) => Object.fromEntries((server.status?.wipe?.disks ?? []).map((disk) => [disk.serial, disk]));
const isSame = (one: Buffer | undefined, other: Buffer | undefined) => Buffer.compare(one!, other!) === 0;

describe.skipIf(!hasQemu || !existsSync(join(AGENT_IMAGE, 'initramfs.xz')))('a machine with real disks', () => {
  let wiped: Awaited<ReturnType<typeof run>>;

  describe('wiped by a plan', () => {
    beforeAll(async () => {
      const rules = [
        { serial: 'ZEROED', method: 'zero', reason: 'a tap says so' },
        { serial: 'FORMATTED', method: 'nvme-format', reason: '' },
        { serial: 'DISCARDED', method: 'discard', reason: '' },
        { serial: 'STUBBORN', method: 'discard', reason: '' },
      ] as const;
      wiped = await run({
        disks: [
          { name: 'ZEROED', device: 'virtio-blk-pci' },
          { name: 'KEPT', device: 'virtio-blk-pci' },
          { name: 'DISCARDED', device: 'virtio-blk-pci', drive: ',discard=unmap' },
          { name: 'STUBBORN', device: 'virtio-blk-pci,discard=off' },
          { name: 'FORMATTED', device: 'nvme' },
          { name: 'FAST', device: 'ide-hd' },
        ],
        plugins: [planner(rules)],
        keeps: 'serial:KEPT,serial:of-another-server',
        until: (server) => expect(server?.status?.isClean || server?.status?.wipe?.state === 'failed').toBe(true),
      });
    }, 300_000);

    test('is clean, with evidence for every disk', () => {
      const { server } = wiped;
      expect(server.status).toMatchObject({ isClean: true, wipe: { state: 'done', attempt: 1, method: 'insecure' } });
      const done = { state: 'done', sizeBytes: SIZE, doneBytes: SIZE, samples: expect.toSatisfy((count) => count > 50) };
      expect(disksOf(server)).toMatchObject({
        ZEROED: { ...done, deviceName: expect.stringMatching(/^\/dev\/vd/), method: 'zero', reason: 'a tap says so' },
        FORMATTED: { ...done, deviceName: '/dev/nvme0n1', method: 'nvme-format' },
        DISCARDED: { ...done, method: 'discard' },
        STUBBORN: { ...done, method: 'zero', reason: 'instead of discard: the disk cannot discard' },
        FAST: { state: 'done', deviceName: '/dev/sda', method: 'insecure', samples: expect.toSatisfy((count) => count > 50) },
        KEPT: { state: 'kept', method: 'keep', reason: expect.stringContaining('ServerClass keeping') },
      });
    });

    test.each(['ZEROED', 'FORMATTED', 'DISCARDED', 'STUBBORN'])('every byte of %s is zero', (name) => {
      expect(isSame(wiped.after.get(name), Buffer.alloc(SIZE))).toBe(true);
    });

    test('the disk to be kept is byte for byte what it was', () => {
      expect(isSame(wiped.after.get('KEPT'), wiped.before.get('KEPT'))).toBe(true);
    });

    test('the fast method clears both ends of the disk and of its partition, and nothing else where discards do nothing', () => {
      const expected = Buffer.from(wiped.before.get('FAST')!);
      for (const place of [0, 16, 31, 47]) expected.fill(0, place * MIB, (place + 1) * MIB);
      expect(isSame(wiped.after.get('FAST'), expected)).toBe(true);
    });

    test('the console tells what was done to which disk', () => {
      const text = wiped.lines.join('\n');
      expect(text).toMatch(/\[sidero\] keeping \/dev\/vd\w \(KEPT, 48 MiB\): annotation/);
      expect(text).toMatch(/\[sidero\] wiped \/dev\/nvme0n1 by nvme-format, 48 MiB of 48 MiB, \d+ places read back empty/);
      expect(text).toContain('[sidero] wipe complete');
      expect(text).not.toMatch(/Kernel panic|Call Trace/);
    });
  });

  test('a disk that is read-only is a failure, told with its reason, and the server stays dirty', async () => {
    const { server, before, after } = await run({
      disks: [
        { name: 'GOOD', device: 'virtio-blk-pci' },
        { name: 'LOCKED', device: 'virtio-blk-pci', drive: ',readonly=on' },
        { name: 'NOSANITIZE', device: 'nvme' },
        { name: 'NOSECURITY', device: 'ide-hd' },
      ],
      plugins: [
        planner([
          { serial: 'GOOD', method: 'zero', reason: '' },
          { serial: 'NOSANITIZE', method: 'nvme-sanitize', reason: '' },
          { serial: 'NOSECURITY', method: 'ata-secure-erase', reason: '' },
        ]),
      ],
      until: (server) => expect(server?.status?.wipe?.state).toBe('failed'),
    });
    expect(server.status?.isClean).toBe(false);
    expect(server.status?.wipe?.message).toContain('it is read-only');
    expect(disksOf(server)).toMatchObject({
      GOOD: { state: 'done' },
      LOCKED: { state: 'failed', problem: 'it is read-only' },
      NOSANITIZE: { state: 'failed', problem: 'its controller cannot sanitize' },
      NOSECURITY: { state: 'failed', problem: 'the disk knows no ATA security commands' },
    });
    expect(isSame(after.get('GOOD'), Buffer.alloc(SIZE))).toBe(true);
    for (const name of ['LOCKED', 'NOSANITIZE', 'NOSECURITY']) expect(isSame(after.get(name), before.get(name))).toBe(true);
  });

  test('a server that is allocated after the plan was handed out loses no byte', async () => {
    const bind = async ({ resources }: Sidero) => {
      if (await resources.get(ServerBindingKind, { name: uuid }, { live: true })) return;
      await resources.create(ServerBindingKind, aBinding({ metadata: { name: uuid } }));
    };
    const { server, before, after } = await run({
      disks: [{ name: 'MINE', device: 'virtio-blk-pci' }],
      plugins: [planner([], bind)],
      until: (server) => expect(server?.status?.wipe?.state).toBe('failed'),
    });
    expect(server.status?.wipe?.message).toContain('called off: the Server is allocated');
    expect(isSame(after.get('MINE'), before.get('MINE'))).toBe(true);
  });
});
