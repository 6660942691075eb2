import { expect, test } from 'vitest';
import { groupOf } from './group.ts';

const cluster = { 'cluster.x-k8s.io/cluster-name': 'rack-1' };

test.each<[string, Record<string, string>, string | undefined]>([
  ['of a control plane', { ...cluster, 'cluster.x-k8s.io/control-plane': '' }, 'default/rack-1/control-plane'],
  [
    'of a MachineDeployment, whatever its MachineSet',
    { ...cluster, 'cluster.x-k8s.io/deployment-name': 'md', 'cluster.x-k8s.io/set-name': 'md-7' },
    'default/rack-1/md',
  ],
  ['of a MachineSet alone', { ...cluster, 'cluster.x-k8s.io/set-name': 'ms' }, 'default/rack-1/ms'],
  ['of a cluster, otherwise unlabelled', cluster, 'default/rack-1'],
  ['of no cluster', { 'cluster.x-k8s.io/deployment-name': 'md' }, undefined],
])('the group of a machine %s', (...[, labels, group]) => {
  expect(groupOf({ namespace: 'default', labels })).toBe(group);
});

test('machines of clusters of one name in two namespaces are two groups', () => {
  expect(groupOf({ namespace: 'a', labels: cluster })).not.toBe(groupOf({ namespace: 'b', labels: cluster }));
});
