import { type Kind, type KubeObject, ServerKind } from '@sidero/core';
import { aServer, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';

interface OldServer extends KubeObject {
  spec?: { accepted: boolean; cordoned?: boolean; cpu?: object; system?: object; hardware?: object };
}

const OldServerKind: Kind<OldServer> = { apiVersion: 'metal.sidero.dev/v1alpha1', kind: 'Server', plural: 'servers', namespaced: false };

test('on the embedded API, too, a write through v1alpha1 loses nothing', async () => {
  await using sidero = await testSidero();
  const ref = { name: 'server-a' };
  const { spec } = await sidero.resources.create(ServerKind, aServer({ metadata: ref, spec: { strategicPatches: ['machine: {}'] } }));

  const old = await sidero.resources.change(OldServerKind, ref, (draft) => {
    draft.spec!.cordoned = true;
  });

  expect(old.spec).not.toHaveProperty('hardware');
  expect(old.spec?.cpu).toEqual({ manufacturer: expect.any(String), version: expect.any(String) });
  const server = await sidero.resources.get(ServerKind, ref, { live: true });
  expect(server?.spec).toEqual({ ...spec, cordoned: true });
  expect(server?.metadata.annotations ?? {}).not.toHaveProperty(['cluster.x-k8s.io/conversion-data']);
});

test.each([ServerKind, OldServerKind])('on the embedded API, too, a Server that breaks a rule is denied ($apiVersion)', async ({ apiVersion }) => {
  await using sidero = await testSidero();
  const server = { apiVersion, kind: 'Server', metadata: { name: 'server-a' }, spec: { accepted: true, pxeMode: 'bogus' } };
  await expect(sidero.resources.create({ ...OldServerKind, apiVersion }, server)).rejects.toMatchObject({
    code: 'SIDERO_RESOURCE_FAILED',
    details: { status: 422 },
    message: expect.stringContaining('spec.pxeMode: Invalid value: "bogus": valid values are: ["" "bios" "uefi"]'),
  });
});
