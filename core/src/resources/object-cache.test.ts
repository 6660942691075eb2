import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change } from './client.ts';
import type { KubeObject } from './kinds.ts';
import { keyOf, ObjectCache, refOf } from './object-cache.ts';

const object = (name: string, version: number, uid = `${name}-1`): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name, uid, resourceVersion: String(version), labels: { parity: version % 2 === 0 ? 'even' : 'odd' } },
});

const listed = (version: number, objects: KubeObject[]) => ({ objects, at: { version: String(version), before: undefined } });

function cacheWith(version: number, ...objects: KubeObject[]): ObjectCache<KubeObject> {
  const cache = new ObjectCache<KubeObject>('Thing');
  const list = listed(version, objects);
  cache.replace(list.objects, list.at);
  return cache;
}

const versions = (cache: ObjectCache<KubeObject>) =>
  Object.fromEntries(cache.list().map(({ metadata }) => [metadata.name, Number(metadata.resourceVersion)]));
const told = (changes: readonly (Change<KubeObject> | undefined)[]) =>
  changes.map(
    (change) =>
      change &&
      `${change.type} ${change.object.metadata.name} ${change.old?.metadata.resourceVersion ?? '-'}→${change.object.metadata.resourceVersion}`,
  );

describe('object cache', () => {
  test('a second list tells only what differs', () => {
    const cache = cacheWith(5, object('same', 1), object('changed', 2), object('gone', 3));
    const changes = cache.replace([object('same', 1), object('changed', 7), object('new', 8)], { version: '9', before: '5' });
    expect(told(changes)).toEqual(['removed gone 3→3', 'changed changed 2→7', 'added new -→8']);
  });

  test('an object that was made anew meanwhile is told as removed and added', () => {
    const cache = cacheWith(5, object('a', 1, 'first'));
    expect(told(cache.replace([object('a', 7, 'second')], { version: '9', before: '5' }))).toEqual(['removed a 1→1', 'added a -→7']);
  });

  test('our own write is there at once, and its event is not told again', () => {
    const cache = cacheWith(5, object('a', 1));
    expect(told([cache.put(object('a', 6))])).toEqual(['changed a 1→6']);
    expect(cache.apply({ type: 'put', object: object('a', 6) })).toBeUndefined();
  });

  test('an event that is older than our own write counts for nothing', () => {
    const cache = cacheWith(5, object('a', 1));
    cache.put(object('a', 8));
    expect(cache.apply({ type: 'put', object: object('a', 7) })).toBeUndefined();
    expect(versions(cache)).toEqual({ a: 8 });
  });

  test('the answer to a call that comes after the removal does not bring the object back', () => {
    const cache = cacheWith(5, object('a', 1));
    cache.apply({ type: 'put', object: object('a', 6) });
    cache.apply({ type: 'removed', object: object('a', 7) });
    expect(cache.put(object('a', 6))).toBeUndefined();
    expect(versions(cache)).toEqual({});
  });

  test('what we removed stays away, whatever events about it are under way', () => {
    const cache = cacheWith(5, object('a', 1));
    expect(told([cache.bury({ name: 'a' }, 'a-1')])).toEqual(['removed a 1→1']);
    expect(cache.apply({ type: 'put', object: object('a', 6) })).toBeUndefined();
    expect(cache.apply({ type: 'removed', object: object('a', 7) })).toBeUndefined();
    expect(told([cache.apply({ type: 'put', object: object('a', 8, 'a-2') })])).toEqual(['added a -→8']);
  });

  test('the removal of its predecessor does not take an object that we made', () => {
    const cache = cacheWith(5, object('a', 1));
    cache.put(object('a', 9, 'a-2'));
    expect(cache.apply({ type: 'removed', object: object('a', 8) })).toBeUndefined();
    expect(versions(cache)).toEqual({ a: 9 });
  });

  test('a list that was made before our own write does not undo it', () => {
    const cache = cacheWith(5, object('a', 1));
    const before = cache.highest;
    cache.put(object('a', 8));
    cache.put(object('b', 9));
    cache.replace([object('a', 1)], { version: '7', before });
    expect(versions(cache)).toEqual({ a: 8, b: 9 });
  });

  test('a list of an API whose data went back in time is right', () => {
    const cache = cacheWith(50, object('a', 40), object('b', 45));
    cache.replace([object('a', 3)], { version: '4', before: cache.highest });
    expect(versions(cache)).toEqual({ a: 3 });
    expect(told([cache.apply({ type: 'put', object: object('a', 5) })])).toEqual(['changed a 3→5']);
  });

  test('indexes follow every change', () => {
    const cache = cacheWith(5, object('a', 1), object('b', 2));
    cache.addIndex('parity', ({ metadata }) => [metadata.labels!['parity']!]);
    const names = (key: string) => cache.find('parity', key).map(({ metadata }) => metadata.name);
    expect([names('odd'), names('even')]).toEqual([['a'], ['b']]);
    cache.apply({ type: 'put', object: object('a', 6) });
    cache.apply({ type: 'removed', object: object('b', 7) });
    expect([names('odd'), names('even')]).toEqual([[], ['a']]);
    expect(() => cache.find('colour', 'red')).toThrow(expect.objectContaining({ code: 'SIDERO_INDEX_INVALID' }));
    expect(() => cache.addIndex('parity', () => [])).toThrow(expect.objectContaining({ code: 'SIDERO_INDEX_INVALID' }));
  });

  test('what is in it cannot be edited', () => {
    const cache = cacheWith(5, object('a', 1));
    expect(() => {
      cache.get({ name: 'a' })!.metadata.labels!['parity'] = 'neither';
    }).toThrow(TypeError);
  });

  test('keys and references are two forms of one thing', () => {
    for (const ref of [{ name: 'a' }, { namespace: 'n', name: 'a' }]) expect(refOf(keyOf(ref))).toEqual(ref);
  });
});

/** One API with one history; what a client hears of it may be late, but each way keeps its order. */
class World {
  version = 10;
  readonly live = new Map<string, KubeObject>();
  readonly events: { type: 'put' | 'removed'; object: KubeObject }[] = [];
  readonly answers: (() => Change<KubeObject> | undefined)[] = [];
  readonly cache = new ObjectCache<KubeObject>('Thing');
  readonly mirror = new Map<string, KubeObject>();
  heard = 0;

  take(changes: readonly (Change<KubeObject> | undefined)[]): void {
    for (const change of changes) {
      if (!change) continue;
      const name = change.object.metadata.name;
      const known = this.mirror.get(name);
      expect(change.type === 'added').toBe(known === undefined);
      if (change.type === 'removed') this.mirror.delete(name);
      else {
        if (known) expect(Number(change.object.metadata.resourceVersion)).toBeGreaterThan(Number(known.metadata.resourceVersion));
        this.mirror.set(name, change.object);
      }
    }
  }

  write(name: string, by: 'us' | 'them'): void {
    const known = this.live.get(name);
    const written = object(name, ++this.version, known?.metadata.uid ?? `${name}-${this.version}`);
    this.live.set(name, written);
    this.events.push({ type: 'put', object: written });
    if (by === 'us') this.answers.push(() => this.cache.put(structuredClone(written)));
  }

  remove(name: string, by: 'us' | 'them'): void {
    const known = this.live.get(name);
    if (!known) return;
    this.live.delete(name);
    const uid = known.metadata.uid!;
    this.events.push({ type: 'removed', object: object(name, ++this.version, uid) });
    if (by === 'us') this.answers.push(() => this.cache.bury({ name }, uid));
  }

  hear(): void {
    const event = this.events[this.heard];
    if (!event) return;
    this.heard += 1;
    this.take([this.cache.apply(structuredClone(event))]);
  }

  answer(): void {
    this.take([this.answers.shift()?.()]);
  }

  relist(): void {
    const before = this.cache.highest;
    this.take(this.cache.replace(structuredClone([...this.live.values()]), { version: String(this.version), before }));
    this.heard = this.events.length;
  }
}

test('however events, answers and lists are interleaved, readers end up with the truth and never see anything twice or older', () => {
  const name = fc.constantFrom('a', 'b');
  const by = fc.constantFrom<'us' | 'them'>('us', 'them');
  const step = fc.oneof(
    fc.tuple(fc.constant('write' as const), name, by),
    fc.tuple(fc.constant('remove' as const), name, by),
    fc.tuple(fc.constantFrom('hear' as const, 'answer' as const)),
    fc.tuple(fc.constant('relist' as const)),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const world = new World();
      world.relist();
      for (const [what, of, who] of steps) {
        if (what === 'write' || what === 'remove') world[what](of!, who!);
        else world[what]();
      }
      while (world.answers.length > 0) world.answer();
      while (world.heard < world.events.length) world.hear();
      expect(world.cache.list().toSorted(byName)).toEqual([...world.mirror.values()].toSorted(byName));
      expect(versions(world.cache)).toEqual(Object.fromEntries([...world.live].map(([of, { metadata }]) => [of, Number(metadata.resourceVersion)])));
    }),
    { numRuns: 5000 },
  );
});

function byName(left: KubeObject, right: KubeObject): number {
  return left.metadata.name.localeCompare(right.metadata.name);
}
