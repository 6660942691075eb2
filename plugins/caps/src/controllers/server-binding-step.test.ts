import { type ServerBinding, setCondition } from '@sidero/core';
import { expect, test } from 'vitest';
import type { Cluster } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { type BindingFacts, nextBindingStep } from './server-binding-step.ts';

const now = new Date('2026-11-23T12:00:00Z');
const ago = (ms: number) => new Date(now.getTime() - ms);
const metalMachine = (uid: string, providerID?: string) =>
  ({ metadata: { namespace: 'default', name: 'cp-1', uid }, spec: providerID ? { providerID } : {} }) as MetalMachine;
const cluster = (more: Partial<Cluster> = {}) => ({ metadata: { name: 'rack-1' }, ...more }) as Cluster;
const facts = (more: Partial<BindingFacts> = {}): BindingFacts => ({
  binding: { metadata: { name: 's1' }, spec: { metalMachineRef: { namespace: 'default', name: 'cp-1', uid: 'u1' } } } as ServerBinding,
  server: undefined,
  metalMachine: undefined,
  cluster: cluster(),
  orphanSince: undefined,
  graceMs: 60_000,
  now,
  ...more,
});
// Left behind by `clusterctl move`, as the loop then marks it.
const left = {
  ...facts().binding,
  status: {
    conditions: setCondition([], { type: 'MetalMachineExists', status: 'False', reason: 'MayHaveMoved', severity: 'Warning', message: '' }, now),
  },
} as ServerBinding;

test.each<[string, Partial<BindingFacts>, object]>([
  ['whose MetalMachine exists is kept', { metalMachine: metalMachine('u1'), orphanSince: ago(120_000) }, { kind: 'keep' }],
  ['that was moved is kept', { metalMachine: metalMachine('u2', 'sidero://s1') }, { kind: 'keep' }],
  ['of a MetalMachine that was made anew is not', { metalMachine: metalMachine('u2') }, { kind: 'count-down', leftMs: 60_000 }],
  ['that nobody has waits', { orphanSince: ago(10_000) }, { kind: 'count-down', leftMs: 50_000 }],
  ['that nobody has had for long is freed', { orphanSince: ago(60_000) }, { kind: 'free' }],
  ['without a Cluster is kept however long', { cluster: undefined, orphanSince: ago(1e12) }, { kind: 'doubt', reason: 'MayHaveMoved' }],
  ['whose Cluster was gone is kept when that is back', { binding: left, orphanSince: ago(1e12) }, { kind: 'doubt', reason: 'MayHaveMoved' }],
  ['whose Cluster and MetalMachine are back is kept', { binding: left, metalMachine: metalMachine('u2', 'sidero://s1') }, { kind: 'keep' }],
  [
    'of a paused Cluster is kept however long',
    { cluster: cluster({ spec: { paused: true } }), orphanSince: ago(1e12) },
    { kind: 'doubt', reason: 'ClusterPaused' },
  ],
  [
    'of a Cluster that is annotated as paused too',
    { cluster: cluster({ metadata: { name: 'rack-1', annotations: { 'cluster.x-k8s.io/paused': '' } } }), orphanSince: ago(1e12) },
    { kind: 'doubt', reason: 'ClusterPaused' },
  ],
])('a ServerBinding %s', (_, more, expected) => {
  expect(nextBindingStep(facts(more))).toMatchObject(expected);
});
