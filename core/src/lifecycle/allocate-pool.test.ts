import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Server } from '../resources/kinds.ts';
import { ServerPool } from './allocate-pool.ts';

const server = (name: string, zone = '') =>
  ({ metadata: { name, labels: zone ? { 'topology.kubernetes.io/zone': zone } : {} } }) as unknown as Server;
const all = { size: 1000, isLeftOut: () => false };
const poolOf = (...servers: readonly Server[]) => {
  const pool = new ServerPool(() => true);
  for (const each of servers) pool.put(each, undefined);
  return pool;
};

test('a window has the names in their order', () => {
  expect(poolOf(server('c'), server('a'), server('b')).window(all)).toEqual(['a', 'b', 'c']);
});

test('a small window has as many from each zone', () => {
  const pool = poolOf(server('a1', 'a'), server('a2', 'a'), server('a3', 'a'), server('b1', 'b'), server('c1'));
  expect(pool.window({ ...all, size: 3 })).toEqual(['a1', 'b1', 'c1']);
});

test('a window of one zone has nothing of another', () => {
  const pool = poolOf(server('a1', 'a'), server('b1', 'b'));
  expect(pool.window({ ...all, zone: 'b' })).toEqual(['b1']);
  expect(pool.window({ ...all, zone: 'd' })).toEqual([]);
});

test('the window goes on behind where another claim left off, and around', () => {
  const pool = poolOf(server('a'), server('b'), server('c'), server('d'));
  pool.goOnBehind('b');
  expect(pool.window({ ...all, size: 2 })).toEqual(['c', 'd']);
  expect(pool.window(all)).toEqual(['c', 'd', 'a', 'b']);
});

test('what is given up on is counted by reason, the most frequent first', () => {
  const pool = poolOf(server('a'));
  for (const name of ['b', 'c']) pool.put(server(name), 'not clean');
  pool.put(server('d'), 'cordoned');
  expect(pool.unfit).toEqual([
    ['not clean', 2],
    ['cordoned', 1],
  ]);
  pool.put(server('b'), undefined);
  pool.drop('d');
  expect(pool.unfit).toEqual([['not clean', 1]]);
  expect(pool.window(all)).toEqual(['a', 'b']);
});

test('work is done one after another, also when some of it fails', async () => {
  const pool = poolOf();
  const order: string[] = [];
  const first = pool.inTurn(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    order.push('first');
    throw new Error('broken');
  });
  const second = pool.inTurn(async () => void order.push('second'));
  await expect(first).rejects.toThrow('broken');
  await second;
  expect(order).toEqual(['first', 'second']);
});

const name = fc.integer({ min: 0, max: 12 }).map((number) => `server-${number}`);
const zone = fc.constantFrom('', 'a', 'b');
const change = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), name, zone, reason: fc.option(fc.constantFrom('not clean', 'cordoned'), { nil: undefined }) }),
  fc.record({ kind: fc.constant('drop' as const), name }),
  fc.record({ kind: fc.constant('goOn' as const), name }),
);

test('after any changes a window holds exactly the fit members that are wanted', () => {
  fc.assert(
    fc.property(fc.array(change), fc.integer({ min: 1, max: 14 }), fc.option(zone, { nil: undefined }), (changes, size, wanted) => {
      const pool = new ServerPool(({ metadata }) => metadata.name !== 'server-7');
      const model = new Map<string, { zone: string; reason: string | undefined }>();
      for (const each of changes) {
        if (each.kind === 'goOn') pool.goOnBehind(each.name);
        else if (each.kind === 'drop') {
          pool.drop(each.name);
          model.delete(each.name);
        } else {
          pool.put(server(each.name, each.zone), each.reason);
          if (each.name !== 'server-7') model.set(each.name, each);
        }
      }
      const fit = [...model].filter(([, place]) => place.reason === undefined && (wanted === undefined || place.zone === wanted));
      const names = pool.window({ size, zone: wanted, isLeftOut: (of) => of === 'server-3' });
      const eligible = fit.map(([of]) => of).filter((of) => of !== 'server-3');
      expect(new Set(names).size).toBe(names.length);
      expect(names.length).toBe(Math.min(size, eligible.length));
      expect(names.filter((of) => !eligible.includes(of))).toEqual([]);
      expect(pool.fit(wanted)).toBe(fit.length);
      expect(pool.size).toBe(model.size);
    }),
  );
});
