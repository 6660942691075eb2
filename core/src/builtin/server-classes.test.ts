import { expect, test } from 'vitest';
import type { Server, ServerClass, ServerClassSpec } from '../index.ts';
import { serversOf } from './server-classes.ts';

const apiVersion = 'metal.sidero.dev/v1alpha2';
const aClass = (spec: ServerClassSpec = {}): ServerClass => ({ apiVersion, kind: 'ServerClass', metadata: { name: 'x' }, spec });
const aServer = (name: string, status: Server['status'] = {}, accepted = true): Server => ({
  apiVersion,
  kind: 'Server',
  metadata: { name },
  spec: { accepted },
  status,
});

test('servers are listed by use, each list sorted', () => {
  const servers = [aServer('c'), aServer('b', { inUse: true }), aServer('a', { inUse: false }), aServer('B', { inUse: true })];
  expect(serversOf(aClass(), servers)).toEqual({ serversAvailable: ['a', 'c'], serversInUse: ['B', 'b'] });
});

test('a dirty server is available all the same', () => {
  expect(serversOf(aClass(), [aServer('a', { isClean: false })]).serversAvailable).toEqual(['a']);
});

test('the lists are empty, never null, when no server matches', () => {
  expect(serversOf(aClass(), [aServer('a', {}, false)])).toEqual({ serversAvailable: [], serversInUse: [] });
});
