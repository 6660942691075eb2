import { type BootPlan, type CustomResourceDefinition, definePlugin, type Kind, type KubeObject, SecretKind, ServerBindingKind } from '@sidero/core';
import { caps, MetalMachineKind } from '@sidero/plugin-caps';
import { aBinding, aBootRequest, anEnvironment, aServer, FIXTURE_UUID, type TestSidero, testSidero, type TestSideroOptions } from '@sidero/testing';
import { expect } from 'vitest';
import * as z from 'zod';

export const MachineKind: Kind<KubeObject> = { apiVersion: 'cluster.x-k8s.io/v1beta1', kind: 'Machine', plural: 'machines', namespaced: true };
/** The MetalMachine and the Machine that owns it: those of `aBinding()`. */
export const MACHINE = { namespace: 'default', name: 'rack-1-cp-x7k2p' } as const;
/** The Secret that holds its bootstrap data. */
export const BOOTSTRAP = { namespace: MACHINE.namespace, name: 'boot' } as const;
/** `hunter2` is the secret in it. */
export const CONFIG = 'version: v1alpha1\nmachine:\n  type: controlplane\n  token: hunter2\n';

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

/** An Environment without files: nothing is to be fetched before it can be booted. */
export const theEnvironment = (args: string[] = []) =>
  anEnvironment({ metadata: { name: 'site' }, spec: { kernel: { url: undefined, args }, initrd: undefined } });
/** The server that boots it. */
export const boundServer = () => aServer({ spec: { environmentRef: { name: 'site' } }, status: { isClean: false } });

/** Talos' configuration in a Secret, as the bootstrap provider leaves it. */
export const bootstrapSecret = (config = CONFIG) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { ...BOOTSTRAP },
  data: { value: Buffer.from(config).toString('base64') },
});

/** Cluster API's part: the Machine, the MetalMachine it owns, and the bootstrap data. */
export async function createMachine(
  { resources }: Pick<TestSidero, 'resources'>,
  spec: object = { serverRef: { kind: 'Server', name: FIXTURE_UUID } },
) {
  const { apiVersion, kind } = MachineKind;
  const machine = await resources.create<KubeObject & { spec?: object }>(MachineKind, {
    apiVersion,
    kind,
    metadata: { ...MACHINE },
    spec: { bootstrap: { dataSecretName: BOOTSTRAP.name } },
  });
  const owner = { apiVersion, kind, name: MACHINE.name, uid: machine.metadata.uid ?? '' };
  await resources.create(MetalMachineKind, {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'MetalMachine',
    metadata: { ...MACHINE, ownerReferences: [owner] },
    spec,
  });
  await resources.create(SecretKind, bootstrapSecret());
}

/** A bound server with everything that its configuration is made from. */
export async function aBoundMachine(options: TestSideroOptions = {}): Promise<TestSidero> {
  const objects = options.objects ?? [boundServer(), theEnvironment(), aBinding()];
  const sidero = await testSidero({ ...options, objects, plugins: [caps(), withMachines(), ...(options.plugins ?? [])] });
  await createMachine(sidero);
  await expect.poll(() => sidero.resources.get(ServerBindingKind, { name: FIXTURE_UUID })).toBeDefined();
  // Until then it is told to wait with its boot.
  const recorded = async () => (await sidero.resources.get(MetalMachineKind, MACHINE, { live: true }))?.spec?.providerID;
  await expect.poll(recorded).toBe(`sidero://${FIXTURE_UUID}`);
  return sidero;
}

/** A management plane with Cluster API's Machine, and nothing else. */
export function withoutMachines(options: TestSideroOptions = {}): Promise<TestSidero> {
  return testSidero({ ...options, plugins: [caps(), withMachines(), ...(options.plugins ?? [])] });
}

/** Path and query of the `talos.config=` that iPXE would be given, with the machine's UUID filled in as Talos does. */
export async function configPathOf(sidero: Pick<TestSidero, 'lifecycle'>): Promise<string> {
  const plan: BootPlan = await sidero.lifecycle.boot(aBootRequest());
  const argument = 'args' in plan ? plan.args.find((known) => known.startsWith('talos.config=')) : undefined;
  const url = new URL(argument!.slice('talos.config='.length));
  if (url.searchParams.get('uuid') === '') url.searchParams.set('uuid', FIXTURE_UUID);
  return `${url.pathname}${url.search}`;
}

/** What is answered, and how long the machine is asked to wait. */
export async function ask(url: string): Promise<{ status: number; body: string; retryAfter: string | null }> {
  const answer = await fetch(url);
  return { status: answer.status, body: await answer.text(), retryAfter: answer.headers.get('retry-after') };
}
