import { conditionOf, markTrue, type ServerBinding } from '@sidero/core';
import { expect, test } from 'vitest';
import type { MetalMachine } from '../types.gen.ts';
import { paintBound } from './metal-machine-picture.ts';

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
