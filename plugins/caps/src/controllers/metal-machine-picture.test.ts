import { conditionOf, markFalse, markTrue, type Server, type ServerBinding } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import type { MetalMachine } from '../types.gen.ts';
import { paintBound, paintWaiting } from './metal-machine-picture.ts';

const now = new Date('2026-11-23T12:00:00Z');
const binding = { metadata: { name: 's1' }, spec: {} } as unknown as ServerBinding;
const nodeTrouble = 'The API of cluster default/rack-1 cannot be used: there is no Secret yet.';
const machine = (more: object = {}): MetalMachine => ({ metadata: { namespace: 'default', name: 'm' }, ...more }) as unknown as MetalMachine;
const providerSet = ({ status }: MetalMachine) => conditionOf(status?.conditions, 'ProviderSet');

test('that the cluster of a new machine is away is told together with its server, in one write', () => {
  const draft = machine();
  paintBound(draft, { binding, server: undefined, nodeTrouble, now });
  expect(providerSet(draft)).toMatchObject({ status: 'False', reason: 'ProviderUpdateFailed', message: nodeTrouble });
});

test('what is known of its Node is left to the loop over Nodes', () => {
  const draft = machine({ status: { conditions: markTrue([], 'ProviderSet', now) } });
  paintBound(draft, { binding, server: undefined, nodeTrouble, now });
  expect(providerSet(draft)).toMatchObject({ status: 'True' });
});

test('nothing is said of a Node while nobody has tried to reach its cluster', () => {
  const draft = machine();
  paintBound(draft, { binding, server: undefined, now });
  expect(providerSet(draft)).toBeUndefined();
});

describe('what its machine is not given', () => {
  const server = { metadata: { name: 's1' } } as Server;
  const trouble = { type: 'TalosConfigServed', reason: 'PatchFailed', severity: 'Error', message: 'x' } as const;
  const troubled = { ...binding, status: { conditions: markFalse([], trouble, now) } } as ServerBinding;
  const types = ({ status }: MetalMachine) => [status?.conditions, status?.v1beta2?.conditions].map((all) => all?.map(({ type }) => type));

  test('is told in both forms, and by Ready; what Cluster API was told once is not taken back', () => {
    const draft = machine();
    paintBound(draft, { binding: troubled, server, now });
    expect(types(draft)).toEqual([
      ['Ready', 'TalosConfigServed'],
      ['Ready', 'TalosConfigServed', 'Paused'],
    ]);
    expect(draft.status).toMatchObject({ ready: true, initialization: { provisioned: true } });
    expect(conditionOf(draft.status?.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'PatchFailed', severity: 'Error', message: 'x' });
  });

  test('is no trouble of a node whose Talos is installed', () => {
    const draft = machine();
    const installed = { ...binding, status: { conditions: markTrue(troubled.status?.conditions, 'TalosInstalled', now) } } as ServerBinding;
    paintBound(draft, { binding: installed, server, now });
    expect(conditionOf(draft.status?.conditions, 'Ready')?.status).toBe('True');
  });

  test('goes with its ServerBinding, and when that no longer says so', () => {
    const draft = machine();
    paintBound(draft, { binding: troubled, server, now });
    const waiting = structuredClone(draft);
    paintBound(draft, { binding, server, now });
    paintWaiting(waiting, { reason: 'ServerTaken', severity: 'Error', message: 'y' }, now);
    expect([types(draft), types(waiting)]).toEqual(Array.from({ length: 2 }, () => [['Ready'], ['Ready', 'Paused']]));
    expect(conditionOf(draft.status?.conditions, 'Ready')?.status).toBe('True');
  });
});
