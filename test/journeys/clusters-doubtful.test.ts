import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  conditionOf,
  EnvironmentKind,
  markTrue,
  REQUEST_ANNOTATION,
  requestText,
  type ResourceClient,
  type Server,
  ServerBindingKind,
  ServerKind,
} from '@sidero/core';
import { caps, MetalClusterKind, MetalMachineKind } from '@sidero/plugin-caps';
import { simulatedPower, type SimulatedMachine, type TestSidero, testSidero } from '@sidero/testing';
import { SimulatedBmc } from '@sidero/testing/bmc';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sideroProgram } from '../../core/src/bin/program.ts';
import { ClusterKind, clusterApiKinds, createCluster, createMachine, MachineKind, metalMachine, setPaused } from './clusters/cluster-api.ts';

const namespace = 'default';
const CP_1 = { namespace, name: 'cp-1' };
const until = (assertion: () => Promise<void> | void) => vi.waitFor(assertion, { timeout: 30_000, interval: 30 });

let dataDir: string;
let sidero: TestSidero;
let machine: SimulatedMachine;
let bmc: SimulatedBmc;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sidero-doubtful-'));
  const environment = join(dataDir, 'env', 'default');
  await mkdir(environment, { recursive: true });
  await Promise.all(['vmlinuz', 'initramfs.xz'].map((name) => writeFile(join(environment, name), 'not Talos\n')));
  const bmcs = new Map<string, SimulatedBmc>();
  sidero = await testSidero({
    dataDir,
    site: { powerPollMs: 1000, rebootTimeoutMs: 20_000 },
    plugins: [caps({ orphanGraceMs: 0 }), clusterApiKinds(), simulatedPower((uuid) => bmcs.get(uuid))],
  });
  // Its files are there.
  const fetched = { name: 'default' };
  await until(async () => expect(await sidero.resources.get(EnvironmentKind, fetched, { live: true })).toBeDefined());
  await sidero.resources.change(EnvironmentKind, fetched, (draft) => void (draft.spec = { kernel: { args: [] } }));
  machine = sidero.machine({ hasIpxeRom: true });
  bmc = new SimulatedBmc({ chassis: machine });
  bmcs.set(machine.uuid, bmc);
});
afterEach(async () => {
  await sidero?.close();
  await rm(dataDir, { recursive: true, force: true });
});

const server = async (): Promise<Server> => (await sidero.resources.get(ServerKind, { name: machine.uuid }, { live: true }))!;
const stepIs = (name: string) => until(async () => expect((await server()).status?.step?.name).toBe(name));
const doubt = async () =>
  conditionOf((await sidero.resources.get(ServerBindingKind, { name: machine.uuid }, { live: true }))?.status?.conditions, 'MetalMachineExists')
    ?.reason;

/** A node whose Talos runs from its disk. */
async function aNode(resources: ResourceClient): Promise<void> {
  machine.powerOn();
  await stepIs('Clean');
  await until(() => expect(machine.isOn()).toBe(false));
  await createCluster(resources);
  await createMachine(resources, 'cp-1');
  await until(() => expect(machine.state.stage).toBe('environment'));
  machine.disks[0]!.content = 'system';
  await resources.change(ServerBindingKind, { name: machine.uuid }, (draft) => {
    draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
  });
  await until(async () => expect((await server()).status?.conditions).toContainEqual(expect.objectContaining({ type: 'PXEBooted', status: 'True' })));
  await stepIs('InUse');
}

/** As `clusterctl move` leaves it, but for the ServerBinding, which was forgotten. */
async function moveAway(resources: ResourceClient): Promise<void> {
  await setPaused(resources, true);
  await until(async () =>
    expect((await metalMachine(resources, 'cp-1'))?.status?.v1beta2?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Paused', status: 'True' }),
    ),
  );
  await resources.change(MetalMachineKind, CP_1, (draft) => void (draft.metadata.finalizers = []));
  await resources.remove(MetalMachineKind, CP_1);
  await resources.remove(MachineKind, CP_1);
  await resources.change(MetalClusterKind, { namespace, name: 'rack-1' }, (draft) => void (draft.metadata.finalizers = []));
  await resources.remove(MetalClusterKind, { namespace, name: 'rack-1' });
  await resources.remove(ClusterKind, { namespace, name: 'rack-1' });
}

/** What the loop over servers answers, it has looked for. */
async function loopLooks(resources: ResourceClient): Promise<void> {
  const request = requestText('power-read');
  await resources.change(ServerKind, { name: machine.uuid }, ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, [REQUEST_ANNOTATION]: request };
  });
  await until(async () => {
    const { metadata, status } = await server();
    expect([metadata.annotations?.[REQUEST_ANNOTATION], status?.power]).toEqual([undefined, machine.isOn() ? 'on' : 'off']);
  });
}

async function why(): Promise<string> {
  const kubeconfig = join(dataDir, 'kubeconfig');
  await writeFile(kubeconfig, sidero.kubeConfig.exportConfig(), { mode: 0o600 });
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  await sideroProgram().parseAsync(['why', machine.uuid, '--kubeconfig', kubeconfig], { from: 'user' });
  const text = written.mock.calls.map(([line]) => String(line)).join('');
  written.mockRestore();
  return text;
}

test('a server whose MetalMachine vanished is left as it is and says what it waits for; it goes on when that is back, and is wiped when it is let go', async () => {
  const { resources, lifecycle } = sidero;
  await aNode(resources);
  const spec = (await metalMachine(resources, 'cp-1'))!.spec!;
  const actions = [...bmc.control.actions];
  await moveAway(resources);
  await until(async () => expect(await doubt()).toBe('MayHaveMoved'));
  await stepIs('Doubtful');

  // Whoever has it now reboots it, or its power fails: it is not for us to switch it on again.
  machine.cutPower('the fuse blew');
  await loopLooks(resources);
  await stepIs('Doubtful');
  await loopLooks(resources);
  expect(bmc.control.actions).toEqual(actions);
  expect(machine.isOn()).toBe(false);
  expect(machine.disks[0]!.content).toBe('system');
  expect(await lifecycle.wipe(await server())).toMatchObject({ hold: expect.stringContaining('default/cp-1') as string });
  const told = await why();
  expect(told).toMatch(/state +Doubtful: its ServerBinding names a MetalMachine that is gone/);
  expect(told).toMatch(/next +nothing is switched; .*somebody deletes the ServerBinding, which has it wiped/);

  await createCluster(resources);
  await createMachine(resources, 'cp-1', { spec });
  await until(() => expect(machine.state.stage).toBe('disk'));
  expect(await doubt()).toBeUndefined();
  await stepIs('InUse');
  expect(bmc.control.actions).toEqual([...actions, 'on']);

  await resources.remove(MetalMachineKind, CP_1);
  await until(async () => expect((await server()).status).toMatchObject({ isClean: true, inUse: false, step: { name: 'Clean' } }));
  await until(() => expect(machine.isOn()).toBe(false));
  expect(machine.disks[0]!.content).not.toBe('system');
}, 90_000);

test('a person who knows that the machine is free deletes its ServerBinding, and it is wiped', async () => {
  const { resources } = sidero;
  await aNode(resources);
  await moveAway(resources);
  await stepIs('Doubtful');
  await resources.remove(ServerBindingKind, { name: machine.uuid });
  await until(async () => expect((await server()).status).toMatchObject({ isClean: true, inUse: false, step: { name: 'Clean' } }));
  expect(machine.disks[0]!.content).not.toBe('system');
}, 90_000);
