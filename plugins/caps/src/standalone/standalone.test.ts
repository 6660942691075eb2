import type { KubeObject } from '@sidero/core';
import { expect, test } from 'vitest';
import type { Cluster } from '../kinds.ts';
import type { MetalCluster } from '../types.gen.ts';
import { paintCluster } from './clusters.ts';
import { paintMachine } from './machines.ts';
import { ownedBy } from './ownership.ts';

const cluster: Cluster = { apiVersion: 'cluster.x-k8s.io/v1beta1', kind: 'Cluster', metadata: { namespace: 'n', name: 'c', uid: '1' } };
const owned = (ownerReferences: KubeObject['metadata']['ownerReferences'] = []): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's', ownerReferences },
});
const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'm', uid: '2' };

test('an owner is added once, as it is now, and others stay', () => {
  const reference = { apiVersion: 'cluster.x-k8s.io/v1beta1', kind: 'Cluster', name: 'c', uid: '1' };
  expect(ownedBy(owned([other]), cluster, { controller: false })).toEqual([other, reference]);
  expect(ownedBy(owned([{ ...reference, apiVersion: 'cluster.x-k8s.io/v1alpha3', uid: 'of before' }]), cluster, { controller: false })).toEqual([
    reference,
  ]);
});

test('there is one controlling owner', () => {
  const owners = ownedBy(owned([{ ...other, controller: true }]), cluster, { controller: true });
  expect(owners).toEqual([other, expect.objectContaining({ name: 'c', controller: true, blockOwnerDeletion: true })]);
});

test('what was provisioned once stays so when the MetalCluster is gone', () => {
  const draft: Cluster = { ...structuredClone(cluster), spec: { infrastructureRef: { kind: 'MetalCluster', name: 'c' } } };
  const metalCluster = (ready: boolean): MetalCluster => ({
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'MetalCluster',
    metadata: { name: 'c' },
    status: { ready },
  });
  const phases = [undefined, metalCluster(false), metalCluster(true), undefined].map((seen) => {
    paintCluster(draft, { metalCluster: seen, hasControlPlane: false, now: new Date() });
    return draft.status?.phase;
  });
  expect(phases).toEqual(['Provisioning', 'Provisioning', 'Provisioned', 'Provisioned']);
});

test('a Machine waits for its bootstrap data first', () => {
  const draft = { apiVersion: 'cluster.x-k8s.io/v1beta1', kind: 'Machine', metadata: { name: 'm' }, spec: { clusterName: 'c' } };
  paintMachine(draft, { cluster: undefined, metalMachine: undefined, node: undefined });
  expect(draft).toMatchObject({ status: { phase: 'Pending', bootstrapReady: false, infrastructureReady: false } });
  expect(draft.metadata).not.toHaveProperty('ownerReferences');
});
