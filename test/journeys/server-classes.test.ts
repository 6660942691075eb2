import { type Server, type ServerClass, ServerClassKind, ServerKind } from '@sidero/core';
import { aServer, aServerClass, type TestSidero, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';

const classOf = (sidero: TestSidero, name: string): Promise<ServerClass | undefined> =>
  sidero.resources.get(ServerClassKind, { name }, { live: true });
const until = { interval: 20 };
const names = (count: number) => Array.from({ length: count }, (_, index) => `server-${String(index).padStart(3, '0')}`);

test('the class any is there from the start, and again after it was deleted', async () => {
  await using sidero = await testSidero();
  await expect.poll(async () => (await classOf(sidero, 'any'))?.status, until).toEqual({ serversAvailable: [], serversInUse: [] });
  const { uid } = (await classOf(sidero, 'any'))!.metadata;
  await sidero.resources.remove(ServerClassKind, { name: 'any' });
  await expect.poll(async () => (await classOf(sidero, 'any'))?.metadata.uid ?? uid, until).not.toBe(uid);
});

test('a hundred servers that come at once are all in the class any', async () => {
  await using sidero = await testSidero();
  await Promise.all(names(100).map((name) => sidero.resources.create(ServerKind, aServer({ metadata: { name } }))));
  await expect.poll(async () => (await classOf(sidero, 'any'))?.status?.serversAvailable, { ...until, timeout: 60_000 }).toEqual(names(100));
}, 90_000);

test('an invalid class is told of once and holds no other class up', async () => {
  await using sidero = await testSidero();
  const selector = { matchExpressions: [{ key: 'rack', operator: 'Bogus' }] };
  await sidero.resources.create(ServerClassKind, aServerClass({ metadata: { name: 'broken' }, spec: { selector } }));
  await sidero.resources.create<Server>(ServerKind, aServer({ metadata: { name: 'server-a' } }));
  await expect.poll(async () => (await classOf(sidero, 'any'))?.status?.serversAvailable, until).toEqual(['server-a']);
  expect((await classOf(sidero, 'broken'))?.status).toBeUndefined();

  await sidero.resources.change(ServerClassKind, { name: 'broken' }, (draft) => {
    delete draft.spec?.selector;
  });
  await expect.poll(async () => (await classOf(sidero, 'broken'))?.status?.serversAvailable, until).toEqual(['server-a']);
});
