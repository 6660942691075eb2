import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoreV1Api, CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';
import type { Server } from '@sidero/core';
import { fleet, type SideroProcess, startSideroProcess, writeStandIns } from '@sidero/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';

const config = fileURLToPath(new URL('../../sidero.config.ts', import.meta.url));
let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sidero-restart-'));
  await writeStandIns(dataDir);
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function clients({ kubeconfig }: SideroProcess) {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(kubeconfig);
  return { custom: kubeConfig.makeApiClient(CustomObjectsApi), core: kubeConfig.makeApiClient(CoreV1Api) };
}

async function servers(process: SideroProcess): Promise<readonly Server[]> {
  const list = (await clients(process).custom.listClusterCustomObject({ group: 'metal.sidero.dev', version: 'v1alpha2', plural: 'servers' })) as {
    items: Server[];
  };
  return list.items;
}

// The rest is how the loop sees it now, and that goes on.
const whatLasts = ({ metadata: { name, uid, annotations }, spec, status }: Server) => ({ name, uid, annotations, spec, boot: status?.boot });

test('after kill -9 and a restart everything is still there, and machines go on', async () => {
  await using before = await startSideroProcess({ config, dataDir });
  // Agents that cannot wipe leave their Servers as they are.
  const [first, second] = fleet(2, { plane: before.plane, seed: 'restart', timeFactor: 0.01, agent: 'registering' });
  const off = new AbortController();
  try {
    await first!.bootTo('accepted', off.signal);
    const kept = await servers(before);
    const key = await clients(before).core.readNamespacedSecret({ namespace: 'default', name: 'sidero-boot' });
    expect(kept.map(({ metadata }) => metadata.name)).toEqual([first!.uuid]);
    await before.kill();

    await using after = await startSideroProcess({ config, dataDir, ports: before.ports });
    expect((await servers(after)).map(whatLasts)).toEqual(kept.map(whatLasts));
    expect((await clients(after).core.readNamespacedSecret({ namespace: 'default', name: 'sidero-boot' })).data).toEqual(key.data);
    // The agent that was running shows the token of before, the new machine boots from nothing.
    await second!.bootTo('accepted', off.signal);
    expect(await servers(after)).toHaveLength(2);
    await expect.poll(() => first!.state.stage, { timeout: 10_000 }).toBe('accepted');
  } finally {
    off.abort();
  }
}, 120_000);

test('kill -9 in the middle of 20 registrations loses no Server that a machine was told of', async () => {
  await using before = await startSideroProcess({ config, dataDir });
  const machines = fleet(20, { plane: before.plane, seed: 'torn', timeFactor: 0.01 });
  const off = new AbortController();
  try {
    const boots = machines.map((machine) => machine.bootTo('accepted', off.signal).catch(() => undefined));
    await machines[5]!.reached('accepted', off.signal);
    await before.kill();
    const told = machines.filter(({ history }) => history.some(({ stage }) => stage === 'accepted')).map(({ uuid }) => uuid);
    expect(told.length).toBeGreaterThan(0);

    await using after = await startSideroProcess({ config, dataDir, ports: before.ports });
    const kept = new Set((await servers(after)).map(({ metadata }) => metadata.name));
    expect(told.filter((uuid) => !kept.has(uuid))).toEqual([]);
    off.abort();
    await Promise.all(boots);
  } finally {
    off.abort();
  }
}, 120_000);

test('SIGTERM ends it within two seconds, with status 0', async () => {
  await using running = await startSideroProcess({ config, dataDir });
  const [machine] = fleet(1, { plane: running.plane, seed: 'stop' });
  const off = new AbortController();
  await machine!.bootTo('accepted', off.signal);
  const startedMs = performance.now();
  await running.stop();
  expect(await running.exited).toBe('code 0');
  expect(performance.now() - startedMs).toBeLessThan(2000);
  off.abort();
}, 120_000);
