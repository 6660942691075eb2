import type { Condition, ServerBinding } from '@sidero/core';
import { expect, test } from 'vitest';
import type { Cluster, Machine } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { explainMachine, type MachineFindings } from './explain-machine.ts';

const NAME = { namespace: 'default', name: 'cp-1' };
const at = '2026-11-29T12:00:00Z';
const binding = (annotations: Record<string, string> = {}, conditions: Condition[] = []) =>
  ({ metadata: { name: 's1', annotations }, spec: { metalMachineRef: NAME }, status: { conditions } }) as unknown as ServerBinding;
const metalMachine = (conditions: Condition[] = []) => ({ metadata: NAME, status: { conditions } }) as unknown as MetalMachine;
const lines = (found: Partial<MachineFindings>) =>
  explainMachine({
    server: 's1',
    binding: binding(),
    metalMachine: metalMachine(),
    machine: { metadata: { name: 'm-1' } } as Machine,
    cluster: { metadata: { name: 'rack-1' } } as Cluster,
    when: (time) => time.toISOString(),
    ...found,
  });

test('nothing is told of a server that nobody has', () => {
  expect(lines({ binding: undefined, metalMachine: undefined })).toEqual([]);
});

test('whose machine it is, what does not hold, and who has its configuration', () => {
  const conditions: Condition[] = [
    { type: 'Ready', status: 'True', lastTransitionTime: at },
    { type: 'ProviderSet', status: 'False', reason: 'ProviderUpdateFailed', message: 'no Node yet', lastTransitionTime: at },
  ];
  expect(lines({ metalMachine: metalMachine(conditions), binding: binding({ 'metal.sidero.dev/config-taken': `10.0.0.7 ${at}` }) })).toEqual([
    'MetalMachine default/cp-1 has it (Machine m-1, Cluster rack-1)',
    'ProviderSet is False since 2026-11-29T12:00:00.000Z, ProviderUpdateFailed: no Node yet',
    'its configuration was last taken 2026-11-29T12:00:00.000Z, by 10.0.0.7',
  ]);
});

test('what `Ready` sums up is told once', () => {
  const trouble = { status: 'False', reason: 'PatchFailed', message: 'it does not fit', lastTransitionTime: at } as const;
  const conditions: Condition[] = ['Ready', 'TalosConfigServed'].map((type) => ({ type, ...trouble }));
  expect(lines({ metalMachine: metalMachine(conditions) }).filter((line) => line.includes('PatchFailed'))).toEqual([
    'TalosConfigServed is False since 2026-11-29T12:00:00.000Z, PatchFailed: it does not fit',
  ]);
});

test('a lost ServerBinding, and a lost MetalMachine', () => {
  expect(lines({ binding: undefined })).toEqual([
    'MetalMachine default/cp-1 has it (Machine m-1, Cluster rack-1), but its ServerBinding is lost: it is made again by itself, and nothing is wiped meanwhile',
  ]);
  const gone: Condition = { type: 'MetalMachineExists', status: 'False', reason: 'MetalMachineGone', message: 'it is freed', lastTransitionTime: at };
  const found = lines({ metalMachine: undefined, machine: undefined, cluster: undefined, binding: binding({}, [gone]) });
  expect(found[0]).toBe(
    'MetalMachine default/cp-1 has it, and does not exist. Next: restore it; or delete ServerBinding s1, which has the server wiped',
  );
  expect(found[1]).toContain('MetalMachineGone: it is freed');
});

test('who paused it', () => {
  expect(lines({ cluster: { metadata: { name: 'rack-1' }, spec: { paused: true } } as Cluster })[1]).toContain(
    'paused by spec.paused of Cluster rack-1',
  );
  const annotated = { metadata: { ...NAME, annotations: { 'cluster.x-k8s.io/paused': '' } } } as unknown as MetalMachine;
  expect(lines({ metalMachine: annotated })[1]).toContain('paused by its annotation');
});
