import { setTimeout as delay } from 'node:timers/promises';
import {
  type CustomResourceDefinition,
  definePlugin,
  type Kind,
  type KubeObject,
  type MachineTokens,
  type ResourceClient,
  SecretKind,
  ServerBindingKind,
} from '@sidero/core';
import { caps, MetalMachineKind } from '@sidero/plugin-caps';
import { aServer, aTalosConfig, inventory, testSidero } from '@sidero/testing';
import * as z from 'zod';
import { bareServer, loadWorker } from './http-peer.ts';
import type { LoadResult } from './load.ts';
import type { Measurement } from './measure.ts';

const MACHINES = 200;
const CONNECTIONS = 20;
const DURATION_MS = 4000;
const namespace = 'default';
const MachineKind: Kind<KubeObject> = { apiVersion: 'cluster.x-k8s.io/v1beta1', kind: 'Machine', plural: 'machines', namespaced: true };

/** `/configdata` for bound machines that show their token, each with a configuration of its own of 13 KB. */
export async function measureConfigdata(): Promise<readonly Measurement[]> {
  const uuids = Array.from({ length: MACHINES }, (_, index) => inventory('configdata', index).system.uuid);
  const objects = uuids.map((uuid) =>
    aServer({ metadata: { name: uuid }, spec: { hardware: { system: { uuid } }, strategicPatches: ['machine: {install: {disk: /dev/vda}}'] } }),
  );
  const machines = withMachines();
  await using sidero = await testSidero({ objects, plugins: [caps(), machines.plugin] });
  for (const [index, uuid] of uuids.entries()) await bindMachine(sidero.resources, { name: `m-${index}`, uuid });
  const tokens = await machines.tokens;
  const paths = await Promise.all(uuids.map((uuid, index) => pathOf(tokens, { uuid, name: `m-${index}` })));
  await untilQuiet();
  const atFirst = process.cpuUsage();
  const startedMs = performance.now();
  const [body = ''] = await Promise.all(paths.map(async (path) => (await fetch(`${sidero.url}${path}`)).text()));
  const firstMs = performance.now() - startedMs;
  const first = process.cpuUsage(atFirst);
  const order = { paths, connections: CONNECTIONS, durationMs: DURATION_MS };
  await untilQuiet();
  const before = process.threadCpuUsage();
  const ours = await loadWorker({ ...order, port: sidero.ports.http });
  const { user, system } = process.threadCpuUsage(before);
  const peer = await bareServer(body);
  const bare = await loadWorker({ ...order, port: peer.port });
  await peer.close();
  const rate = ({ requests, seconds }: LoadResult) => requests / seconds;
  const how = `${MACHINES} bound machines, 13 KB each, ${CONNECTIONS} connections, ${DURATION_MS / 1000} s`;
  const name = 'bare node:http, same bytes';
  return [
    { what: '`/configdata` requests', ours: rate(ours), unit: '/s', digits: 0, peer: { name, value: rate(bare) }, note: how },
    { what: '`/configdata` CPU of a request', ours: (user + system) / 1000 / ours.requests, unit: 'ms', digits: 2, note: how },
    {
      what: '`/configdata` first answers, all at once',
      ours: firstMs / MACHINES,
      unit: 'ms each',
      digits: 1,
      note: 'merged, and the taker noted in the API',
    },
    {
      what: '`/configdata` CPU of a first answer',
      ours: (first.user + first.system) / 1000 / MACHINES,
      unit: 'ms',
      digits: 1,
      note: 'with the embedded API, the loops that are told of the note, and the machine that asks',
    },
  ];
}

const machineDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'machines.cluster.x-k8s.io' },
  spec: {
    group: 'cluster.x-k8s.io',
    scope: 'Namespaced',
    names: { kind: 'Machine', listKind: 'MachineList', plural: 'machines', singular: 'machine' },
    versions: [
      { name: 'v1beta1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } },
    ],
  },
} as unknown as CustomResourceDefinition;

/** The loops over machines and servers, and the embedded API, share this thread: what they do with 200 new machines is not measured here. */
async function untilQuiet(): Promise<void> {
  for (let round = 0; round < 120; round++) {
    const before = process.threadCpuUsage();
    await delay(500);
    const { user, system } = process.threadCpuUsage(before);
    if ((user + system) / 1000 < 25) return;
  }
}

/** Cluster API's Machine; and the tokens, which only plugins get. */
function withMachines() {
  const tokens = Promise.withResolvers<MachineTokens>();
  const plugin = definePlugin({
    name: 'machines',
    options: z.strictObject({}),
    setup(sidero) {
      tokens.resolve(sidero.tokens);
      sidero.customResources.add({ name: machineDefinition.metadata.name, definition: machineDefinition });
    },
  });
  return { plugin: plugin(), tokens: tokens.promise };
}

async function bindMachine(resources: ResourceClient, { name, uuid }: { name: string; uuid: string }): Promise<void> {
  const { apiVersion, kind } = MachineKind;
  const spec = { bootstrap: { dataSecretName: name } };
  const machine = await resources.create<KubeObject & { spec?: object }>(MachineKind, { apiVersion, kind, metadata: { namespace, name }, spec });
  const metalMachine = await resources.create(MetalMachineKind, {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'MetalMachine',
    metadata: { namespace, name, ownerReferences: [{ apiVersion, kind, name, uid: machine.metadata.uid ?? '' }] },
    spec: { serverRef: { kind: 'Server', name: uuid } },
  });
  const data = { value: Buffer.from(aTalosConfig({ seed: name })).toString('base64') };
  await resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, data });
  await resources
    .create(ServerBindingKind, {
      apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
      kind: 'ServerBinding',
      metadata: { name: uuid },
      spec: { metalMachineRef: { kind: 'MetalMachine', namespace, name, uid: metalMachine.metadata.uid ?? '' } },
    })
    // Where the controllers were quicker.
    .catch(() => undefined);
}

async function pathOf(tokens: MachineTokens, { uuid, name }: { uuid: string; name: string }): Promise<string> {
  return `/configdata?uuid=${uuid}&token=${await tokens.sign('config', { uuid, metalMachine: { namespace, name } })}`;
}
