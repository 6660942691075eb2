import { expect, test } from 'vitest';
import type { Controller, KubeObject, ResourceClient, Server, ServerClass, ServerClassSpec, Sidero } from '../index.ts';
import { serverClasses, serversOf } from './server-classes.ts';

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

test('changes of servers that follow each other closely are one pass', async () => {
  let passes = 0;
  const resources: Partial<ResourceClient> = {
    get: () => Promise.resolve(undefined),
    create: (_, object) => Promise.resolve(object),
    list: (kind) => {
      if (kind.kind === 'Server') passes++;
      return Promise.resolve([]);
    },
  };
  const added: Controller<KubeObject>[] = [];
  const controllers = { add: (controller: unknown) => void added.push(controller as Controller<KubeObject>) };
  serverClasses().setup({ controllers, resources, variables: {} } as unknown as Sidero);
  const reconcile = () => added[0]!.reconcile({ name: 'any' }, new AbortController().signal);

  expect(await reconcile()).toBeUndefined();
  expect(await reconcile()).toEqual({ requeueAfterMs: expect.any(Number) });
  expect(passes).toBe(1);
});
