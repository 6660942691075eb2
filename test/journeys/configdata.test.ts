import { type CustomResourceDefinition, definePlugin, type Kind, type KubeObject, SecretKind, ServerBindingKind, ServerKind } from '@sidero/core';
import { caps, MetalMachineKind } from '@sidero/plugin-caps';
import { aBinding, aBootRequest, anEnvironment, aServer, FIXTURE_UUID, type TestSidero, testSidero, type TestSideroOptions } from '@sidero/testing';
import { load } from 'js-yaml';
import { expect, test, vi } from 'vitest';
import * as z from 'zod';

const MachineKind: Kind<KubeObject> = { apiVersion: 'cluster.x-k8s.io/v1beta1', kind: 'Machine', plural: 'machines', namespaced: true };
const [namespace, name] = ['default', 'rack-1-cp-x7k2p'];

/** Cluster API's Machine as far as the chain reads it. */
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

const withMachines = definePlugin({
  name: 'machines',
  options: z.strictObject({}),
  setup: ({ customResources }) => customResources.add({ name: machineDefinition.metadata.name, definition: machineDefinition }),
});

const CONFIG = 'version: v1alpha1\nmachine:\n  type: controlplane\n  token: hunter2\n';

/** Without files there is nothing to fetch before it can be booted. */
const site = (args: string[] = []) => anEnvironment({ metadata: { name: 'site' }, spec: { kernel: { url: undefined, args }, initrd: undefined } });
const bound = () => aServer({ spec: { environmentRef: { name: 'site' } }, status: { isClean: false } });

/** A bound server with everything that its configuration is made from. */
async function aSite(options: Pick<TestSideroOptions, 'site' | 'objects'> = {}): Promise<TestSidero> {
  const objects = options.objects ?? [bound(), site(), aBinding()];
  const sidero = await testSidero({ ...options, objects, plugins: [caps(), withMachines()] });
  const { resources } = sidero;
  const { apiVersion, kind } = MachineKind;
  const spec = { bootstrap: { dataSecretName: 'boot' } };
  const machine = await resources.create<KubeObject & { spec?: object }>(MachineKind, { apiVersion, kind, metadata: { namespace, name }, spec });
  const owner = { apiVersion, kind, name, uid: machine.metadata.uid ?? '' };
  await resources.create(MetalMachineKind, {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'MetalMachine',
    metadata: { namespace, name, ownerReferences: [owner] },
    spec: { serverRef: { kind: 'Server', name: FIXTURE_UUID } },
  });
  const data = { value: Buffer.from(CONFIG).toString('base64') };
  await resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: 'boot' }, data });
  await vi.waitFor(async () => expect(await resources.get(ServerBindingKind, { name: FIXTURE_UUID })).toBeDefined());
  return sidero;
}

/** The `talos.config=` that iPXE would be given, with the machine's UUID filled in as Talos does. */
async function configUrlOf(sidero: TestSidero): Promise<string> {
  const plan = await sidero.lifecycle.boot(aBootRequest());
  const argument = 'args' in plan ? plan.args.find((known) => known.startsWith('talos.config=')) : undefined;
  const url = new URL(argument!.slice('talos.config='.length));
  if (url.searchParams.get('uuid') === '') url.searchParams.set('uuid', FIXTURE_UUID);
  return `${sidero.url}${url.pathname}${url.search}`;
}

async function ask(url: string): Promise<{ status: number; body: string }> {
  const answer = await fetch(url);
  return { status: answer.status, body: await answer.text() };
}

test('a bound machine gets its configuration with the address it boots from', async () => {
  await using sidero = await aSite();
  const { status, body } = await ask(await configUrlOf(sidero));
  expect(status).toBe(200);
  expect(load(body)).toEqual({
    version: 'v1alpha1',
    machine: { type: 'controlplane', token: 'hunter2', kubelet: { extraArgs: { 'node-labels': `metal.sidero.dev/uuid=${FIXTURE_UUID}` } } },
  });
});

test('what changes a configuration shows in the next answer', async () => {
  await using sidero = await aSite();
  const url = await configUrlOf(sidero);
  await ask(url);
  await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
    draft.spec!.strategicPatches = ['machine: {install: {disk: /dev/vda}}'];
  });
  expect(load((await ask(url)).body)).toMatchObject({ machine: { install: { disk: '/dev/vda' } } });
});

test('a machine that proved itself once must do so from then on; a guess is refused and told', async () => {
  await using sidero = await aSite();
  const bare = `${sidero.url}/configdata?uuid=${FIXTURE_UUID}`;
  // A binding of the original: its machine has no token yet.
  expect((await ask(bare)).status).toBe(200);
  expect((await ask(await configUrlOf(sidero))).status).toBe(200);
  await vi.waitFor(async () => expect((await ask(bare)).status).toBe(401));
  const guess = await ask(`${bare}&token=${'A'.repeat(43)}`);
  expect(guess.status).toBe(403);
  expect(guess.body).not.toContain('hunter2');
});

test('an Environment with talos.config= of its own is left as it is, and its machines need no token', async () => {
  const environment = site(['talos.config=http://x/configdata?uuid=']);
  await using sidero = await aSite({ objects: [bound(), environment, aBinding()] });
  const plan = await sidero.lifecycle.boot(aBootRequest());
  expect('args' in plan && plan.args).toEqual(['talos.config=http://x/configdata?uuid=']);
  expect((await ask(`${sidero.url}/configdata?uuid=${FIXTURE_UUID}`)).status).toBe(200);
});

test('a patch that does not fit is an Event on server and MetalMachine, without a secret in it', async () => {
  await using sidero = await aSite();
  await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
    draft.spec!.configPatches = [{ op: 'replace', path: '/machine/nope', value: 'swordfish' }];
  });
  const { status, body } = await ask(await configUrlOf(sidero));
  expect(status).toBe(500);
  expect(body).toContain('SIDERO_MACHINE_CONFIG_PATCH_FAILED: configPatches of Server');
  expect(body).not.toMatch(/swordfish|hunter2/);
  const EventKind = { apiVersion: 'v1', kind: 'Event', plural: 'events', namespaced: true } as const;
  await vi.waitFor(async () => {
    const events = await sidero.resources.list(EventKind, { namespace }, { live: true });
    const about = (events as unknown as { reason: string; involvedObject: { kind: string } }[]).filter(({ reason }) => reason === 'Machine Config');
    expect(about.map(({ involvedObject }) => involvedObject.kind).sort()).toEqual(['MetalMachine', 'Server']);
  });
});

test.each([
  ['?uuid=', 400, 'received metadata request with empty uuid\n'],
  ['?uuid=nobody', 404, 'server is not allocated (missing serverbinding): serverbindings.infrastructure.cluster.x-k8s.io "nobody" not found\n'],
])('%s is answered with %s', async (query, status, body) => {
  await using sidero = await testSidero({ plugins: [caps()] });
  expect(await ask(`${sidero.url}/configdata${query}`)).toEqual({ status, body });
});

test('a missing link of the chain is named', async () => {
  await using sidero = await aSite();
  const url = await configUrlOf(sidero);
  await sidero.resources.remove(SecretKind, { namespace, name: 'boot' });
  expect(await ask(url)).toEqual({ status: 404, body: `bootstrap secret ${namespace}/boot not found\n` });
  // Its MetalMachine goes with it, and lets the server go.
  await sidero.resources.remove(MachineKind, { namespace, name });
  await vi.waitFor(async () => expect((await ask(url)).body).toContain('server is not allocated (missing serverbinding): '));
});
