import { describe, expect, test } from 'vitest';
import type { Cluster } from '../kinds.ts';
import type { MetalCluster } from '../types.gen.ts';
import { failureDomainsOf, zonesOf } from './failure-domains.ts';
import { clusterStep, paintReady } from './metal-clusters.ts';

const now = new Date('2026-11-23T12:00:00Z');
const cluster = (more: Partial<Cluster> = {}) => ({ metadata: { name: 'rack-1' }, ...more }) as Cluster;
const aCluster = (metadata: object = {}, spec: MetalCluster['spec'] = {}) =>
  ({ metadata: { namespace: 'default', name: 'rack-1', ...metadata }, spec }) as MetalCluster;
const going = { deletionTimestamp: '2026-01-01T00:00:00Z' };

describe('a MetalCluster', () => {
  test.each<[string, MetalCluster, Cluster | undefined, string]>([
    ['with its Cluster gets ready', aCluster(), cluster(), 'ready'],
    ['without waits', aCluster(), undefined, 'wait'],
    ['without goes when it is deleted', aCluster(going), undefined, 'let-go'],
    ['that is paused is left alone', aCluster(), cluster({ spec: { paused: true } }), 'pause'],
    ['that is paused does not even go', aCluster(going), cluster({ spec: { paused: true } }), 'pause'],
    ['of somebody else is left alone', aCluster({ annotations: { 'cluster.x-k8s.io/managed-by': 'x' } }), cluster(), 'leave'],
    [
      'of somebody else is not told to be paused either',
      aCluster({ annotations: { 'cluster.x-k8s.io/managed-by': 'x' } }),
      cluster({ spec: { paused: true } }),
      'leave',
    ],
    [
      'of somebody else gives up the finalizer it had before',
      aCluster({ ...going, annotations: { 'cluster.x-k8s.io/managed-by': 'x' } }),
      undefined,
      'let-go',
    ],
  ])('%s', (_, ...[metalCluster, owner, expected]) => {
    expect(clusterStep(metalCluster, owner)).toBe(expected);
  });

  const ready = (spec: MetalCluster['spec'], owner = cluster()) => {
    const draft = aCluster({}, spec);
    paintReady(draft, { cluster: owner, failureDomains: undefined, now });
    return { ready: draft.status?.ready, condition: draft.status?.conditions?.find(({ type }) => type === 'Ready') };
  };
  test('is ready in both contracts, and says when its endpoint cannot be used', () => {
    expect(ready({ controlPlaneEndpoint: { host: '10.0.0.1', port: 6443 } })).toMatchObject({ ready: true, condition: { status: 'True' } });
    expect(ready({}, cluster({ spec: { controlPlaneEndpoint: { host: 'api.example', port: 443 } } }))).toMatchObject({
      condition: { status: 'True' },
    });
    for (const controlPlaneEndpoint of [
      { host: '', port: 0 },
      { host: 'a/b', port: 6443 },
      { host: '10.0.0.1', port: 70_000 },
    ])
      expect(ready({ controlPlaneEndpoint })).toMatchObject({ ready: true, condition: { status: 'False', reason: 'ControlPlaneEndpointInvalid' } });
  });
});

describe('failure domains', () => {
  const server = (zone: string | undefined, accepted = true) =>
    ({ metadata: { name: 's', labels: zone ? { 'topology.kubernetes.io/zone': zone } : {} }, spec: { accepted } }) as never;

  test('are the zones of accepted Servers', () => {
    expect(zonesOf([server('b'), server('a'), server('b'), server(undefined), server('c', false)])).toEqual(['a', 'b']);
  });

  test('have the form that the installed Cluster API reads', () => {
    expect(failureDomainsOf(['a'], 'v1beta1')).toEqual({ a: { controlPlane: true } });
    expect(failureDomainsOf(['a'], 'v1beta2')).toEqual([{ name: 'a', controlPlane: true }]);
    expect(failureDomainsOf([], 'v1beta2')).toBeUndefined();
  });
});
