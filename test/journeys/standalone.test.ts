import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  checkConfig,
  createMetrics,
  createResourceClient,
  definePlugin,
  type Kind,
  type KubeObject,
  SecretKind,
  ServerBindingKind,
  ServerClassKind,
} from '@sidero/core';
import { startSidero } from '@sidero/core/start';
import { startApiServer } from '@sidero/plugin-apiserver';
import { caps, clusterApiKinds, MetalClusterKind, MetalMachineKind } from '@sidero/plugin-caps';
import { aBootRequest, anEnvironment, aServer, aTalosConfig, FIXTURE_UUID, silentLogger, type TestSidero, testSidero } from '@sidero/testing';
import { load, loadAll } from 'js-yaml';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { standaloneCustomResources } from '../../plugins/caps/src/standalone/own-kinds.ts';
import { ask } from './configdata/bound-machine.ts';

// No Cluster API: what docs/first-cluster.md tells its reader to apply becomes a bound machine with a configuration.

const { cluster: ClusterKind, machine: MachineKind } = clusterApiKinds('v1beta1');
const KINDS: readonly Kind<KubeObject>[] = [ClusterKind, MachineKind, MetalClusterKind, MetalMachineKind, ServerClassKind];
const NodeKind: Kind<KubeObject> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
const CLUSTER = { namespace: 'default', name: 'rack-1' };
const MACHINE = { namespace: 'default', name: 'rack-1-cp-0' };

/** The objects of the guide, in the order in which they stand there. */
function guideObjects(): readonly KubeObject[] {
  const guide = readFileSync(new URL('../../docs/first-cluster.md', import.meta.url), 'utf8');
  return loadAll(/```yaml\n([\s\S]*?)```/.exec(guide)![1]!) as KubeObject[];
}

const kindOf = (object: KubeObject) => KINDS.find(({ kind }) => kind === object.kind)!;

async function apply({ resources }: TestSidero, objects: readonly KubeObject[]): Promise<void> {
  const data = { value: Buffer.from(aTalosConfig({ cluster: CLUSTER.name })).toString('base64') };
  await resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: MACHINE, data });
  for (const object of objects) await resources.create(kindOf(object), object);
}

/** Environments without files: nothing is to be fetched before they can be booted. */
const objects = [
  aServer({ spec: { environmentRef: { name: 'site' } } }),
  anEnvironment({ metadata: { name: 'site' }, spec: { kernel: { url: undefined, args: [] }, initrd: undefined } }),
];

/** The API of the cluster that is made. */
async function startWorkload() {
  const api = await startApiServer({ customResources: [] });
  const client = createResourceClient({ kubeConfig: () => api.kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'test' });
  const labels = { 'metal.sidero.dev/uuid': FIXTURE_UUID };
  return {
    kubeconfig: api.kubeconfigYaml,
    addNode: (name: string) => client.create(NodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } }),
    async [Symbol.asyncDispose]() {
      await client.close();
      await api.close();
    },
  };
}

let sidero: TestSidero;
beforeEach(async () => {
  sidero = await testSidero({ objects, plugins: [caps({ standalone: true })] });
});
afterEach(() => sidero.close());

const machine = () => sidero.resources.get(MachineKind, MACHINE, { live: true });
const cluster = () => sidero.resources.get(ClusterKind, CLUSTER, { live: true });
const metalMachine = () => sidero.resources.get(MetalMachineKind, MACHINE, { live: true });

async function provisioned(): Promise<void> {
  await vi.waitFor(async () => expect((await machine())?.status?.phase).toBe('Provisioned'), { timeout: 20_000, interval: 100 });
}

describe('a cluster of the guide', { timeout: 40_000 }, () => {
  test.each([
    ['as it stands there', (all: readonly KubeObject[]) => all],
    ['the other way round', (all: readonly KubeObject[]) => all.toReversed()],
  ])('gets its links, a server and phases, applied %s', async (_how, order) => {
    await apply(sidero, order(guideObjects()));
    await provisioned();
    expect(await cluster()).toMatchObject({
      spec: { controlPlaneEndpoint: { host: '10.0.0.20', port: 6443 } },
      status: { phase: 'Provisioned', infrastructureReady: true },
    });
    expect(await machine()).toMatchObject({
      metadata: { labels: { 'cluster.x-k8s.io/cluster-name': 'rack-1' }, ownerReferences: [{ kind: 'Cluster', name: 'rack-1' }] },
      spec: { providerID: `sidero://${FIXTURE_UUID}` },
      status: { bootstrapReady: true, infrastructureReady: true },
    });
    const owner = { kind: 'Machine', name: MACHINE.name, controller: true };
    expect((await metalMachine())?.metadata).toMatchObject({ labels: { 'cluster.x-k8s.io/cluster-name': 'rack-1' }, ownerReferences: [owner] });
    const { metadata } = (await sidero.resources.get(MetalClusterKind, CLUSTER, { live: true }))!;
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'Cluster', name: 'rack-1', controller: true }]);
  });

  test('gets its configuration served', async () => {
    await apply(sidero, guideObjects());
    await provisioned();
    let plan = await sidero.lifecycle.boot(aBootRequest());
    await expect.poll(async () => (plan = await sidero.lifecycle.boot(aBootRequest())).target).toBe('environment');
    const argument = 'args' in plan ? plan.args.find((known) => known.startsWith('talos.config='))! : '';
    const { search } = new URL(argument.slice('talos.config='.length).replace('uuid=', `uuid=${FIXTURE_UUID}`));
    const { status, body } = await ask(`${sidero.url}/configdata${search}`);
    expect(status).toBe(200);
    expect(load(body)).toMatchObject({ machine: { type: 'controlplane' }, cluster: { clusterName: 'rack-1' } });
  });

  test('is Running once its Node is there, and may then be moved', async () => {
    await using workload = await startWorkload();
    await workload.addNode('node-1');
    const kubeconfig = { value: Buffer.from(workload.kubeconfig).toString('base64') };
    await sidero.resources.create(SecretKind, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...CLUSTER, name: 'rack-1-kubeconfig' },
      data: kubeconfig,
    });
    await apply(sidero, guideObjects());
    await vi.waitFor(async () => expect((await machine())?.status).toMatchObject({ phase: 'Running', nodeRef: { name: 'node-1' } }), {
      timeout: 30_000,
      interval: 100,
    });
    const initialized = async () => (await cluster())?.status?.conditions?.find(({ type }) => type === 'ControlPlaneInitialized');
    await expect.poll(initialized).toMatchObject({ status: 'True' });
    // `clusterctl move` takes what carries its label, or belongs to what does.
    const secret = await sidero.resources.get(SecretKind, MACHINE, { live: true });
    expect(secret?.metadata.labels).toEqual({ 'clusterctl.cluster.x-k8s.io/move': '' });
  });
});

describe('deleting', { timeout: 40_000 }, () => {
  test.each([
    ['the Cluster', ClusterKind, CLUSTER],
    ['the Machine', MachineKind, MACHINE],
    ['the MetalMachine', MetalMachineKind, MACHINE],
  ] as const)('%s first ends, and lets the server go', async (_what, kind, ref) => {
    await apply(sidero, guideObjects());
    await provisioned();
    await sidero.resources.remove(kind, ref);
    await vi.waitFor(
      async () => {
        expect(await metalMachine()).toBeUndefined();
        expect(await sidero.resources.list(ServerBindingKind, {}, { live: true })).toEqual([]);
      },
      { timeout: 20_000, interval: 100 },
    );
    await sidero.resources.remove(ClusterKind, CLUSTER);
    await vi.waitFor(
      async () => {
        for (const each of KINDS.filter((one) => one !== ServerClassKind)) expect(await sidero.resources.list(each, {}, { live: true })).toEqual([]);
      },
      { timeout: 20_000, interval: 100 },
    );
  });
});

test('sidero manifests leaves its Cluster and Machine out, which would replace those of Cluster API', { timeout: 120_000 }, async () => {
  const program = fileURLToPath(new URL('../../core/bin/sidero.js', import.meta.url));
  const env = { ...process.env, SIDERO_CAPS_STANDALONE: 'true' };
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=source', program, 'manifests'], { env });
  const names = (loadAll(stdout) as KubeObject[]).map(({ metadata }) => metadata.name);
  expect(names).toContain('metalmachines.infrastructure.cluster.x-k8s.io');
  expect(names.filter((name) => name.endsWith('.cluster.x-k8s.io') && !name.includes('.infrastructure.'))).toEqual([]);
});

test('a paused Cluster is left alone', async () => {
  const paused = guideObjects().map((object) =>
    object.kind === 'Cluster' ? { ...object, spec: { ...(object as { spec?: object }).spec, paused: true } } : object,
  );
  await apply(sidero, paused);
  // Another cluster, made later, shows that its turn is over.
  await sidero.resources.create(ClusterKind, {
    apiVersion: ClusterKind.apiVersion,
    kind: 'Cluster',
    metadata: { namespace: 'default', name: 'later' },
    spec: {},
  });
  const phase = async () => (await sidero.resources.get(ClusterKind, { namespace: 'default', name: 'later' }))?.status?.phase;
  await expect.poll(phase).toBe('Pending');
  expect(await cluster()).not.toHaveProperty('status');
  expect((await metalMachine())?.metadata).not.toHaveProperty('ownerReferences');
});

/** The definitions of Cluster API itself, as far as they are told from ours. */
const clusterApi = definePlugin({
  name: 'cluster-api',
  options: z.strictObject({}),
  setup: ({ customResources }) => {
    for (const { name, definition } of standaloneCustomResources())
      customResources.add({ name, definition: { ...definition, metadata: { name: definition.metadata.name } } });
  },
});

test.each([
  ['where Cluster API itself is installed', [clusterApi()], 'Cluster API itself is installed here'],
  ['where its kinds are missing', [], 'this is not the embedded API'],
])('%s it ends the process, and has touched nothing', { timeout: 20_000 }, async (_where, plugins, why) => {
  await using real = await testSidero({ plugins: [caps(), ...plugins] });
  const objects = guideObjects().filter((object) => plugins.length > 0 || ![ClusterKind.kind, MachineKind.kind].includes(object.kind));
  await apply(real, objects);
  const dataDir = await mkdtemp(join(tmpdir(), 'standalone-'));
  try {
    await expect(startOn(real, dataDir)).rejects.toMatchObject({
      code: 'SIDERO_STANDALONE_REFUSED',
      message: expect.stringContaining(why) as string,
    });
    expect((await real.resources.get(MetalMachineKind, MACHINE, { live: true }))?.metadata).not.toHaveProperty('ownerReferences');
  } finally {
    await rm(dataDir, { recursive: true });
  }
});

/** Another process with `standalone` on that API; ends with what ended it. */
async function startOn(real: TestSidero, dataDir: string): Promise<void> {
  const kubeconfig = join(dataDir, 'kubeconfig');
  await writeFile(kubeconfig, real.kubeConfig.exportConfig(), { mode: 0o600 });
  const options = { endpoint: '127.0.0.1', httpPort: 0, dataDir, healthAddress: 'off', diagnosticsAddress: 'off', leaderElection: false } as const;
  const config = checkConfig({ ...options, plugins: [caps({ standalone: true })] }, { file: 'standalone', variables: {} });
  const running = await startSidero({ config, kubeconfig, log: silentLogger(), variables: {}, host: '127.0.0.1' });
  await running.done.finally(() => running.close());
}
