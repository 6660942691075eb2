import type { Server, ServerBinding } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import type { Cluster, Machine } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { BLOCK_MOVE_ANNOTATION, METAL_MACHINE_FINALIZER } from './contract.ts';
import { isBoundBy, type MachineFacts, type MachineStep, nextStep } from './metal-machine-step.ts';

const NAME = { namespace: 'default', name: 'cp-1' };
const owner = { apiVersion: 'cluster.x-k8s.io/v1beta1', kind: 'Machine', name: 'cp-1', uid: 'm' };
const prepared = { finalizers: [METAL_MACHINE_FINALIZER], annotations: { [BLOCK_MOVE_ANNOTATION]: '' } };

/** A MetalMachine that is ready to get a server of class `any`. */
const aMachine = (
  spec: MetalMachine['spec'] = { serverClassRef: { name: 'any' } },
  metadata: Partial<MetalMachine['metadata']> = {},
): MetalMachine => ({
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
  kind: 'MetalMachine',
  metadata: { ...NAME, uid: 'u1', ownerReferences: [owner], ...prepared, ...metadata },
  spec: spec ?? {},
});
const binding = (name: string, ref: object = {}, status: ServerBinding['status'] = {}) =>
  ({ metadata: { name }, spec: { metalMachineRef: { ...NAME, uid: 'u1', ...ref } }, status }) as ServerBinding;
const server = (name: string, more: Partial<Server> = {}) =>
  ({ metadata: { name }, spec: { accepted: true }, status: { isClean: true }, ...more }) as Server;
const machine = (spec: Machine['spec'] = {}) => ({ metadata: NAME, spec: { bootstrap: { dataSecretName: 'boot' }, ...spec } }) as Machine;
const cluster = (more: Partial<Cluster> = {}) => ({ metadata: { name: 'rack-1' }, status: { infrastructureReady: true }, ...more }) as Cluster;
const step = (facts: Partial<MachineFacts> = {}): MachineStep =>
  nextStep({ metalMachine: aMachine(), machine: machine(), cluster: cluster(), bindings: [], server: undefined, holder: undefined, ...facts });
const reason = (facts: Partial<MachineFacts>) => {
  const found = step(facts);
  return found.kind === 'wait' ? found.why.reason : found.kind;
};
const had = { providerID: 'sidero://s1', serverRef: { name: 's1' }, serverClassRef: { name: 'any' } };
const deleted = { deletionTimestamp: '2026-01-01T00:00:00Z' };
const paused = cluster({ spec: { paused: true } });

describe('a MetalMachine that never had a server', () => {
  test('is allocated one of its class, in its failure domain, with its labels and that of moves', () => {
    const metalMachine = aMachine(undefined, { labels: { a: 'b' } });
    expect(step({ metalMachine, machine: machine({ failureDomain: 'z' }) })).toEqual({
      kind: 'allocate',
      claim: {
        ...NAME,
        uid: 'u1',
        labels: { a: 'b', 'clusterctl.cluster.x-k8s.io/move': '' },
        annotations: { 'metal.sidero.dev/boot-token': 'given' },
        failureDomain: 'z',
        serverClass: 'any',
      },
    });
  });

  test.each<[string, Partial<MachineFacts>, string]>([
    ['no owner', { metalMachine: aMachine(undefined, { ownerReferences: [] }) }, 'WaitingForMachine'],
    ['an owner that is gone', { machine: undefined }, 'MachineMissing'],
    ['no Cluster', { cluster: undefined }, 'ClusterMissing'],
    ['a Cluster without infrastructure', { cluster: cluster({ status: {} }) }, 'WaitingForClusterInfrastructure'],
    [
      'a Cluster with infrastructure, in v1beta2',
      { cluster: cluster({ status: { initialization: { infrastructureProvisioned: true } } }) },
      'allocate',
    ],
    ['no bootstrap data', { machine: machine({ bootstrap: {} }) }, 'WaitingForBootstrapData'],
    ['no wish', { metalMachine: aMachine({}) }, 'NoServerNamed'],
    ['no finalizer yet', { metalMachine: aMachine(undefined, { finalizers: [] }) }, 'prepare'],
    ['a move not blocked yet', { metalMachine: aMachine(undefined, { annotations: {} }) }, 'prepare'],
    ['a paused Cluster', { cluster: paused }, 'pause'],
    ['the annotation of a pause', { metalMachine: aMachine(undefined, { annotations: { 'cluster.x-k8s.io/paused': '' } }) }, 'pause'],
    [
      'no bootstrap data, and is not prepared for nothing',
      { metalMachine: aMachine(undefined, { finalizers: [] }), machine: machine({ bootstrap: {} }) },
      'WaitingForBootstrapData',
    ],
  ])('with %s', (_, facts, expected) => {
    expect(reason(facts)).toBe(expected);
  });
});

describe('a MetalMachine that names its server', () => {
  const metalMachine = aMachine({ serverRef: { name: 's1' } });
  test.each<[string, Partial<MachineFacts>, string]>([
    ['is clean and free', { server: server('s1') }, 'allocate'],
    ['does not exist', {}, 'ServerMissing'],
    ['is somebody else’s', { server: server('s1'), holder: binding('s1', { name: 'cp-2', uid: 'u2' }) }, 'ServerTaken'],
    [
      'is of a predecessor of the same name',
      { server: server('s1'), holder: binding('s1', { uid: 'u0' }), bindings: [binding('s1', { uid: 'u0' })] },
      'ServerTaken',
    ],
    ['is not accepted', { server: server('s1', { spec: { accepted: false } }) }, 'ServerNotAccepted'],
    ['is cordoned', { server: server('s1', { spec: { accepted: true, cordoned: true } }) }, 'ServerCordoned'],
    ['is dirty', { server: server('s1', { status: {} }) }, 'WaitingForCleanServer'],
    ['is being deleted', { server: server('s1', { metadata: { name: 's1', ...deleted } }) }, 'ServerGoing'],
    ['stands elsewhere', { server: server('s1'), machine: machine({ failureDomain: 'z' }) }, 'ServerElsewhere'],
  ])('that %s', (_, facts, expected) => {
    expect(reason({ metalMachine, ...facts })).toBe(expected);
  });
});

describe('a MetalMachine that had a server', () => {
  const metalMachine = aMachine(had);
  test.each<[string, Partial<MachineFacts>, string]>([
    ['and lost its binding', { server: server('s1', { status: { isClean: false } }) }, 'restore'],
    [
      'and its binding, before Cluster and bootstrap data are back',
      { server: server('s1'), cluster: cluster({ status: {} }), machine: machine({ bootstrap: {} }) },
      'restore',
    ],
    ['and its binding, and its serverRef was cleared', { metalMachine: aMachine({ providerID: 'sidero://s1' }), server: server('s1') }, 'restore'],
    ['which somebody else has now', { server: server('s1'), holder: binding('s1', { name: 'cp-2', uid: 'u2' }) }, 'ServerTaken'],
    ['which is gone', {}, 'ServerMissing'],
    ['and whose serverRef was changed', { metalMachine: aMachine({ ...had, serverRef: { name: 's2' } }), server: server('s2') }, 'ServerChanged'],
    ['and is paused', { cluster: paused, server: server('s1') }, 'pause'],
  ])('%s', (_, facts, expected) => {
    expect(reason({ metalMachine, ...facts })).toBe(expected);
  });
});

describe('a MetalMachine with a binding', () => {
  const kept = (facts: Partial<MachineFacts>) => {
    const found = step(facts);
    return found.kind === 'keep' ? [found.binding.metadata.name, ...found.spare.map(({ metadata }) => metadata.name)] : found.kind;
  };
  test.each<[string, Partial<MachineFacts>, string[] | string]>([
    ['keeps it although its own write of it was lost', { bindings: [binding('s1')] }, ['s1']],
    ['keeps it whatever its serverRef says', { metalMachine: aMachine({ ...had, serverRef: { name: 's2' } }), bindings: [binding('s1')] }, ['s1']],
    [
      'gives a second one back that no machine was booted for',
      { metalMachine: aMachine(had), bindings: [binding('s0'), binding('s1')] },
      ['s1', 's0'],
    ],
    [
      'keeps both when a machine was booted for both',
      {
        metalMachine: aMachine(had),
        bindings: [binding('s0', {}, { conditions: [{ type: 'x', status: 'True', lastTransitionTime: '' }] }), binding('s1')],
      },
      ['s1'],
    ],
    ['does not inherit one of a predecessor', { bindings: [binding('s1', { uid: 'u0' })] }, 'allocate'],
    ['adopts one of its former uid, after a move', { metalMachine: aMachine(had), bindings: [binding('s1', { uid: 'u0' })] }, ['s1']],
    ['adopts one without uid', { bindings: [binding('s1', { uid: undefined })] }, ['s1']],
    ['gets its finalizer first', { metalMachine: aMachine(had, { finalizers: [] }), bindings: [binding('s1')] }, 'prepare'],
    ['that was made just before a pause is written down all the same', { cluster: paused, bindings: [binding('s1')] }, ['s1']],
    ['that is written down is left alone in a pause', { cluster: paused, metalMachine: aMachine(had), bindings: [binding('s1')] }, 'pause'],
    ['needs no Machine, no Cluster', { machine: undefined, cluster: undefined, bindings: [binding('s1')] }, ['s1']],
  ])('%s', (_, facts, expected) => {
    expect(kept(facts)).toEqual(expected);
  });
});

describe('a MetalMachine that is being deleted', () => {
  const metalMachine = aMachine(had, deleted);
  const freed = (facts: Partial<MachineFacts>) => {
    const found = step({ metalMachine, ...facts });
    return found.kind === 'let-go' ? found.bindings.map(({ metadata }) => metadata.name) : found.kind;
  };
  test.each<[string, Partial<MachineFacts>, string[] | string]>([
    ['lets its server go', { bindings: [binding('s1')] }, ['s1']],
    ['lets nobody else’s go', { metalMachine: aMachine({ serverRef: { name: 's1' } }, deleted), holder: binding('s1', { name: 'cp-2' }) }, []],
    ['lets its predecessor’s be', { metalMachine: aMachine({ serverRef: { name: 's1' } }, deleted), bindings: [binding('s1', { uid: 'u0' })] }, []],
    ['ends without Machine and Cluster', { machine: undefined, cluster: undefined }, []],
    ['waits while its Cluster is paused', { cluster: paused, bindings: [binding('s1')] }, 'pause'],
  ])('%s', (_, facts, expected) => {
    expect(freed(facts)).toEqual(expected);
  });
});

test('a binding of another name is never a MetalMachine’s, whatever its uid', () => {
  expect(isBoundBy(binding('s1', { name: 'other' }), aMachine(had))).toBe(false);
});
