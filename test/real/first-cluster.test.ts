import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createMetrics, createResourceClient, type Kind, type KubeObject, SecretKind, ServerClassKind, ServerKind } from '@sidero/core';
import { startApiServer } from '@sidero/plugin-apiserver';
import { caps, clusterApiKinds, MetalClusterKind, MetalMachineKind } from '@sidero/plugin-caps';
import { aBootRequest, anEnvironment, aServer, aTalosConfig, FIXTURE_UUID, silentLogger, type TestSidero, testSidero } from '@sidero/testing';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type ManagementCluster, startManagementCluster } from './cluster-api/management-cluster.ts';
import { CLUSTERCTL, isClusterApiBuilt } from './cluster-api/parts.ts';
import { isPossible } from './sidero-on-kubernetes.ts';

// docs/first-cluster.md to its end: made on the embedded API, moved by clusterctl into a cluster with Cluster API.

const { cluster: ClusterKind, machine: MachineKind } = clusterApiKinds('v1beta1');
const NodeKind: Kind<KubeObject> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
const KINDS: readonly Kind<KubeObject>[] = [ClusterKind, MachineKind, MetalClusterKind, MetalMachineKind, ServerClassKind];
const MACHINE = { namespace: 'default', name: 'rack-1-cp-0' };
const base64 = (text: string) => Buffer.from(text).toString('base64');

function guideObjects(): readonly KubeObject[] {
  const guide = readFileSync(new URL('../../docs/first-cluster.md', import.meta.url), 'utf8');
  return loadAll(/```yaml\n([\s\S]*?)```/.exec(guide)![1]!) as KubeObject[];
}

async function makeCluster({ resources }: TestSidero, kubeconfig: string): Promise<void> {
  const secret = (name: string, value: string) =>
    resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'default', name }, data: { value: base64(value) } });
  await secret(MACHINE.name, aTalosConfig({ cluster: 'rack-1' }));
  await secret('rack-1-kubeconfig', kubeconfig);
  for (const object of guideObjects()) await resources.create(KINDS.find(({ kind }) => kind === object.kind)!, object);
}

/** Path and query of the configuration of the one machine. */
async function configPathOf({ lifecycle }: TestSidero): Promise<string> {
  const plan = await lifecycle.boot(aBootRequest());
  const argument = ('args' in plan ? plan.args : []).find((known) => known.startsWith('talos.config=')) ?? '';
  return new URL(argument.slice('talos.config='.length)).search.replace('uuid=', `uuid=${FIXTURE_UUID}`);
}

describe.skipIf(!isPossible || !isClusterApiBuilt())('a first cluster, made without Cluster API', () => {
  let folder: string;
  let laptop: TestSidero;
  let management: ManagementCluster;
  let workload: Awaited<ReturnType<typeof startApiServer>>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sidero-first-cluster-'));
    workload = await startApiServer({ customResources: [] });
    const site = anEnvironment({ metadata: { name: 'site' }, spec: { kernel: { url: undefined, args: [] }, initrd: undefined } });
    laptop = await testSidero({ objects: [aServer({ spec: { environmentRef: { name: 'site' } } }), site], plugins: [caps({ standalone: true })] });
    management = await startManagementCluster({ release: '1.10', plugins: [], environment: { name: 'site', args: [] } });
  }, 120_000);

  afterAll(async () => {
    await management?.[Symbol.asyncDispose]();
    await laptop?.close();
    await workload?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 60_000, interval: 200 });

  test('is moved into its new home as it is', { timeout: 240_000 }, async () => {
    const client = createResourceClient({ kubeConfig: () => workload.kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'test' });
    await client.create(NodeKind, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node-1', labels: { 'metal.sidero.dev/uuid': FIXTURE_UUID } },
    });
    await client.close();
    await makeCluster(laptop, workload.kubeconfigYaml);
    await until(async () => expect((await laptop.resources.get(MachineKind, MACHINE))?.status?.phase).toBe('Running'));
    const path = await configPathOf(laptop);
    const before = await fetch(`${laptop.url}/configdata${path}`);
    expect(before.status).toBe(200);

    await move(join(folder, 'laptop'));

    const { resources, plane } = management;
    const there = await resources.get(MetalMachineKind, MACHINE, { live: true });
    expect(there?.spec?.providerID).toBe(`sidero://${FIXTURE_UUID}`);
    await until(async () => expect((await resources.get(MetalMachineKind, MACHINE, { live: true }))?.status?.ready).toBe(true));
    // Cluster API has taken over. It says Running once it has seen the Node itself; the new cluster here is an API only.
    await until(async () => {
      const machine = await resources.get(MachineKind, MACHINE, { live: true });
      expect(machine?.status).toMatchObject({ phase: expect.stringMatching(/^(Provisioned|Running)$/) as string, infrastructureReady: true });
    });
    expect((await resources.get(ServerKind, { name: FIXTURE_UUID }, { live: true }))?.status?.wipe).toBeUndefined();
    expect(await resources.get(SecretKind, { namespace: 'default', name: 'rack-1-kubeconfig' }, { live: true })).toBeDefined();
    // The token that the machine was booted with on the laptop.
    await until(async () => {
      const after = await fetch(`http://${plane.host}:${plane.http}/configdata${path}`);
      expect(after.status).toBe(200);
      expect(await after.text()).toContain('clusterName: rack-1');
    });
    for (const kind of [ClusterKind, MachineKind, MetalMachineKind])
      expect(await laptop.resources.list<KubeObject>(kind, {}, { live: true })).toEqual([]);
  });

  async function move(kubeconfig: string): Promise<void> {
    await writeFile(kubeconfig, laptop.kubeConfig.exportConfig(), { mode: 0o600 });
    const args = ['move', '--kubeconfig', kubeconfig, '--to-kubeconfig', management.api.kubeconfigPath, '--namespace', 'default'];
    const env = { PATH: process.env['PATH'], HOME: folder, XDG_CONFIG_HOME: folder, CLUSTERCTL_DISABLE_VERSIONCHECK: 'true' };
    await promisify(execFile)(CLUSTERCTL, args, { env });
  }
});
