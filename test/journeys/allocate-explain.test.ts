import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ServerBindingKind, ServerKind } from '@sidero/core';
import { caps } from '@sidero/plugin-caps';
import { placement } from '@sidero/plugin-placement';
import { aServer, aServerClass, type TestSidero, testSidero } from '@sidero/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reportOn, reportText } from '../../plugins/caps/src/allocate-command.ts';
import { clusterApiOf } from '../../plugins/caps/src/cluster-api-version.ts';
import { clusterApiKinds, createCluster, createMachine, setPaused } from './clusters/cluster-api.ts';

// `sidero allocate --explain`: why a machine gets a server, or why it does not.

const program = fileURLToPath(new URL('../../core/bin/sidero.js', import.meta.url));
const ZONE = 'topology.kubernetes.io/zone';
const inZone = (name: string, zone: string) => aServer({ metadata: { name, labels: { [ZONE]: zone, size: 'large' } } });

let sidero: TestSidero;
beforeEach(async () => {
  sidero = await testSidero({
    objects: [
      aServerClass({ spec: { selector: { matchLabels: { size: 'large' } } } }),
      inZone('server-1', 'a'),
      inZone('server-2', 'b'),
      aServer({ metadata: { name: 'server-3', labels: { size: 'large' } }, status: { isClean: false } }),
      aServer({ metadata: { name: 'server-4' } }),
    ],
    plugins: [caps(), placement(), clusterApiKinds()],
  });
  await createCluster(sidero.resources);
});
afterEach(() => sidero.close());

const explain = (name: string) =>
  reportOn({ resources: sidero.resources, lifecycle: sidero.running.kernel.lifecycle }, clusterApiOf(sidero.resources), `default/${name}`);
const ofClass = { serverClassRef: { kind: 'ServerClass', name: 'large' } };
const isBound = (name: string) => expect.poll(() => sidero.resources.get(ServerBindingKind, { name })).toBeDefined();

test('a machine that has a server: which, what the others would count, and why those are out that are', async () => {
  await createMachine(sidero.resources, 'm1', { spec: ofClass });
  await isBound('server-1');
  expect(reportText(await explain('m1'))).toEqual([
    'MetalMachine default/m1 has server-1',
    'SERVER     SCORE  WHY',
    'server-1   taken  its ServerBinding is there',
    'server-2     100  spread +100: b has 0 of 1 of its group',
    'server-3       -  not clean',
    'server-4       -  not in ServerClass large',
  ]);
});

test('a machine that waits for something else: what for, and what it would get now', async () => {
  await setPaused(sidero.resources, true);
  await createMachine(sidero.resources, 'm1', { spec: ofClass });
  const [first] = reportText(await explain('m1'));
  expect(first).toBe('MetalMachine default/m1 would get server-1 now; it waits: it or its Cluster is paused');
  expect(await sidero.resources.list(ServerBindingKind, {}, { live: true })).toEqual([]);
});

test('a machine that names its server is told about that one', async () => {
  await createMachine(sidero.resources, 'm1', { spec: { serverRef: { kind: 'Server', name: 'server-3' } } });
  const { candidates, rejected } = await explain('m1');
  expect(candidates).toEqual([]);
  expect(rejected.map(({ server, reason }) => `${server}: ${reason}`)).toContain('server-3: not clean');
});

test('nobody is told about a machine that is not there', async () => {
  await expect(explain('nobody')).rejects.toMatchObject({ code: 'SIDERO_METAL_MACHINE_UNNAMED' });
});

test('the program asks the API of the sidero that runs, and takes nothing', { timeout: 120_000 }, async () => {
  await createMachine(sidero.resources, 'm1', { spec: ofClass });
  await isBound('server-1');
  const folder = await mkdtemp(join(tmpdir(), 'sidero-allocate-'));
  try {
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, sidero.kubeConfig.exportConfig(), { mode: 0o600 });
    const args = ['--conditions=source', program, 'allocate', '--explain', 'default/m1', '--json', '--kubeconfig', kubeconfig];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(JSON.parse(stdout)).toMatchObject({
      metalMachine: 'default/m1',
      taken: 'server-1',
      candidates: [{ server: 'server-2', score: 100 }],
      rejected: [
        { server: 'server-3', by: 'core', reason: 'not clean' },
        { server: 'server-4', by: 'core', reason: 'not in ServerClass large' },
      ],
    });
    expect((await sidero.resources.get(ServerKind, { name: 'server-2' }, { live: true }))?.status?.inUse).toBe(false);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('sidero why tells whose machine a server is, and what that one waits for', { timeout: 120_000 }, async () => {
  await createMachine(sidero.resources, 'm1', { spec: ofClass });
  await isBound('server-1');
  const folder = await mkdtemp(join(tmpdir(), 'sidero-why-'));
  try {
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, sidero.kubeConfig.exportConfig(), { mode: 0o600 });
    const config = fileURLToPath(new URL('../../sidero.config.ts', import.meta.url));
    const args = ['--conditions=source', program, '--config', config, 'why', 'server-1', '--json', '--kubeconfig', kubeconfig];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { told } = JSON.parse(stdout) as { told: { name: string; lines: string[] }[] };
    expect(told.find(({ name }) => name === 'machine')?.lines).toEqual(
      expect.arrayContaining([
        'MetalMachine default/m1 has it (Machine m1, Cluster rack-1)',
        'its configuration was not asked for yet; it is, once its Talos has booted from the network',
      ]),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
