import {
  type Claim,
  createLogger,
  createMetrics,
  createResourceClient,
  definePlugin,
  FENCE_ANNOTATION,
  type LifecycleHooks,
  type Plugin,
  readInstallation,
  type ResourceClient,
  type Selection,
  type Server,
  ServerBindingKind,
  type ServerClass,
  ServerClassKind,
  ServerKind,
  type Sidero,
} from '@sidero/core';
import { aBinding, aServer, aServerClass, type Overrides, testSidero, type TestSidero, type TestSideroOptions } from '@sidero/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { createHooks } from '../../core/src/hooks.ts';
import { type AllocateStage, createAllocateStage, type SearchLimits } from '../../core/src/lifecycle/allocate.ts';
import type { StageContext } from '../../core/src/lifecycle/context.ts';

const ZONE = 'topology.kubernetes.io/zone';
const open: TestSidero[] = [];
afterEach(async () => {
  for (const sidero of open.splice(0)) await sidero.close();
});

async function start(options: TestSideroOptions = {}): Promise<TestSidero> {
  const sidero = await testSidero(options);
  open.push(sidero);
  return sidero;
}
const plugin = (name: string, setup: (sidero: Sidero) => void): Plugin => definePlugin({ name, options: z.strictObject({}), setup })();
const scoring = (name: string, score: (selection: Selection) => Selection): Plugin => plugin(name, ({ hooks }) => hooks.allocate.tap(name, score));

const named = (name: string, more: Overrides<Server> = {}): Server => aServer({ ...more, metadata: { ...more.metadata, name } });
const inZone = (name: string, zone: string) => named(name, { metadata: { labels: { [ZONE]: zone } } });
const large = aServerClass();
const claimOf = (name: string, more: Partial<Claim> = {}): Claim => ({
  namespace: 'default',
  name,
  uid: `uid-${name}`,
  serverClass: 'large',
  ...more,
});
const bindings = async ({ resources }: TestSidero) =>
  (await resources.list(ServerBindingKind, {}, { live: true })).map(({ metadata }) => metadata.name);

describe('a claim of a class', () => {
  test('gets the first of its servers that is accepted, clean, free and healthy, without waiting for the status of the class', async () => {
    const { lifecycle } = await start({
      objects: [
        large,
        named('server-1', { spec: { accepted: false } }),
        named('server-2', { spec: { cordoned: true } }),
        named('server-3', { status: { isClean: false } }),
        named('server-4', { metadata: { annotations: { [FENCE_ANNOTATION]: 'another/1' } } }),
        named('server-5'),
        named('server-6'),
      ],
    });
    expect((await lifecycle.allocate(claimOf('m'))).metadata.name).toBe('server-5');
  });

  test('is told in its ServerBinding: labels, MetalMachine and class in full', async () => {
    const { lifecycle, resources } = await start({ objects: [large, named('server-1')] });
    const labels = { 'cluster.x-k8s.io/cluster-name': 'rack-1' };
    const serverClass = await resources.get(ServerClassKind, { name: 'large' }, { live: true });
    const { uid } = serverClass!.metadata;
    expect(await lifecycle.allocate(claimOf('m', { labels }))).toMatchObject({
      metadata: { name: 'server-1', labels },
      spec: {
        metalMachineRef: { kind: 'MetalMachine', namespace: 'default', name: 'm', uid: 'uid-m' },
        serverClassRef: { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'ServerClass', name: 'large', uid, resourceVersion: expect.any(String) },
      },
    });
  });

  test('that is repeated, at once or later, gets the same server', async () => {
    const sidero = await start({ objects: [large, named('server-1'), named('server-2')] });
    const both = await Promise.all([sidero.lifecycle.allocate(claimOf('m')), sidero.lifecycle.allocate(claimOf('m'))]);
    const again = await sidero.lifecycle.allocate(claimOf('m'));
    expect(new Set([...both, again].map(({ metadata }) => metadata.uid)).size).toBe(1);
    expect(await bindings(sidero)).toEqual(['server-1']);
  });

  test('of a MetalMachine that was made anew under its name gets a server of its own', async () => {
    const sidero = await start({ objects: [large, named('server-1'), named('server-2')] });
    await sidero.lifecycle.allocate(claimOf('m'));
    const { metadata } = await sidero.lifecycle.allocate(claimOf('m', { uid: 'another' }));
    expect(metadata.name).toBe('server-2');
  });

  test('sees servers that come, go and become fit, and a class that changes', async () => {
    const { lifecycle, resources } = await start({ objects: [large] });
    await expect(lifecycle.allocate(claimOf('m'))).rejects.toThrow('ServerClass large has no servers');
    const server = named('server-1', { status: { isClean: false } });
    const { status, ...rest } = server;
    await resources.create(ServerKind, rest);
    await expect(lifecycle.allocate(claimOf('m'))).rejects.toThrow('of 1 in ServerClass large: 1 not clean');
    await resources.change(ServerKind, { name: 'server-1' }, (draft) => {
      draft.status = { ...status, isClean: true };
    });
    await resources.change<ServerClass>(ServerClassKind, { name: 'large' }, (draft) => {
      draft.spec = { selector: { matchLabels: { size: 'large' } } };
    });
    await expect(lifecycle.allocate(claimOf('m'))).rejects.toThrow('ServerClass large has no servers');
    await resources.change(ServerKind, { name: 'server-1' }, (draft) => {
      draft.metadata.labels = { size: 'large' };
    });
    expect((await lifecycle.allocate(claimOf('m'))).metadata.name).toBe('server-1');
  });

  test('gets a server of its failure domain, or none', async () => {
    const { lifecycle } = await start({ objects: [large, inZone('server-1', 'a'), inZone('server-2', 'b')] });
    expect((await lifecycle.allocate(claimOf('m', { failureDomain: 'b' }))).metadata.name).toBe('server-2');
    await expect(lifecycle.allocate(claimOf('n', { failureDomain: 'b' }))).rejects.toMatchObject({
      code: 'SIDERO_ALLOCATE_NONE',
      message: expect.stringMatching(/of 2 in ServerClass large: (1 in use, )?1 not in failure domain b/),
    });
  });

  test('that finds nothing is told why, by reason', async () => {
    const objects = [
      large,
      ...['1', '2', '3'].map((name) => named(name, { status: { isClean: false } })),
      named('4', { spec: { cordoned: true } }),
      named('5', { spec: { accepted: false } }),
      named('6'),
    ];
    const picky = scoring('picky', ({ candidates, rejected, ...rest }) => ({
      ...rest,
      candidates: [],
      rejected: [...rejected, ...candidates.map(({ server }) => ({ server, plugin: 'picky', reason: 'too old' }))],
    }));
    const { lifecycle } = await start({ objects, plugins: [picky] });
    await expect(lifecycle.allocate(claimOf('m'))).rejects.toThrow(
      'No server for MetalMachine default/m: of 6 in ServerClass large: 3 not clean, 1 cordoned, 1 not accepted, 1 too old (picky).',
    );
  });

  test.each<[string, Partial<Claim>, string]>([
    ['a class that is not there', { serverClass: 'huge' }, 'there is no ServerClass huge'],
    ['nothing at all', { serverClass: '' }, 'it names neither a Server nor a ServerClass'],
  ])('that names %s is told so', async (...[, more, words]) => {
    const { lifecycle } = await start();
    await expect(lifecycle.allocate(claimOf('m', more))).rejects.toMatchObject({
      code: 'SIDERO_ALLOCATE_NONE',
      message: expect.stringContaining(words),
    });
  });

  test('whose class has a bad selector is told so', async () => {
    const selector = { matchExpressions: [{ key: 'rack', operator: 'Bogus' }] };
    const { lifecycle } = await start({ objects: [aServerClass({ spec: { selector } }), named('server-1')] });
    await expect(lifecycle.allocate(claimOf('m'))).rejects.toMatchObject({ code: 'SIDERO_SERVER_CLASS_INVALID' });
  });
});

describe('a claim of one server', () => {
  test('gets it, with the class that it tells of', async () => {
    const { lifecycle } = await start({ objects: [large, named('server-1'), named('server-2')] });
    const binding = await lifecycle.allocate(claimOf('m', { server: 'server-2' }));
    expect(binding).toMatchObject({ metadata: { name: 'server-2' }, spec: { serverClassRef: { name: 'large', uid: expect.any(String) } } });
  });

  test.each<[string, Overrides<Server>]>([
    ['not accepted', { spec: { accepted: false } }],
    ['cordoned', { spec: { cordoned: true } }],
    ['not clean', { status: { isClean: false } }],
  ])('is told that the server is %s', async (reason, more) => {
    const sidero = await start({ objects: [named('server-1', more)] });
    await expect(sidero.lifecycle.allocate(claimOf('m', { server: 'server-1' }))).rejects.toThrow(`Server server-1 is ${reason}`);
    expect(await bindings(sidero)).toEqual([]);
  });

  test('is told that another MetalMachine has the server', async () => {
    const { lifecycle } = await start({ objects: [named('server-1'), aBinding({ metadata: { name: 'server-1' } })] });
    await expect(lifecycle.allocate(claimOf('m', { server: 'server-1' }))).rejects.toThrow('Server server-1 is in use');
  });

  test('takes it from another installation: a person named it', async () => {
    const { lifecycle } = await start({ objects: [named('server-1', { metadata: { annotations: { [FENCE_ANNOTATION]: 'another/1' } } })] });
    expect((await lifecycle.allocate(claimOf('m', { server: 'server-1' }))).metadata.name).toBe('server-1');
  });

  test('is told that there is no such server', async () => {
    const { lifecycle } = await start();
    await expect(lifecycle.allocate(claimOf('m', { server: 'server-9' }))).rejects.toThrow('there is no Server server-9');
  });
});

describe('plugins', () => {
  test('give scores: the highest is taken', async () => {
    const backwards = scoring('backwards', (selection) => ({
      ...selection,
      candidates: selection.candidates.map((candidate, index) => ({ ...candidate, score: candidate.score + index })),
    }));
    const { lifecycle } = await start({ objects: [large, named('server-1'), named('server-2')], plugins: [backwards] });
    expect((await lifecycle.allocate(claimOf('m'))).metadata.name).toBe('server-2');
  });

  test('see what the claims before theirs are taking, also when those have no ServerBinding yet', async () => {
    const seen: number[] = [];
    const counter = scoring('counter', (selection) => {
      seen.push(selection.pending.length);
      return selection;
    });
    const { lifecycle } = await start({ objects: [large, named('server-1'), named('server-2'), named('server-3')], plugins: [counter] });
    await Promise.all(['a', 'b', 'c'].map((name) => lifecycle.allocate(claimOf(name))));
    expect(seen).toEqual([0, 1, 2]);
  });

  test('cannot give away what is not fit, whatever they return', async () => {
    const dirty = named('server-0', { status: { isClean: false } });
    const foreign = named('server-9', { metadata: { labels: { size: 'small' } } });
    const sneaky = scoring('sneaky', (selection) => ({
      ...selection,
      candidates: [...selection.candidates, ...[dirty, foreign].map((server) => ({ server, score: 100, notes: [] }))],
    }));
    const label = { metadata: { labels: { size: 'large' } } };
    const { lifecycle } = await start({
      objects: [aServerClass({ spec: { selector: { matchLabels: { size: 'large' } } } }), dirty, foreign, named('server-1', label)],
      plugins: [sneaky],
    });
    expect((await lifecycle.allocate(claimOf('m'))).metadata.name).toBe('server-1');
  });

  test('that fail stop the claim by name, and the next attempt is a new one', async () => {
    let isBroken = true;
    const moody = plugin('moody', ({ hooks }) =>
      hooks.allocate.tapPromise('moody', (selection) => (isBroken ? Promise.reject(new Error('no inventory')) : Promise.resolve(selection))),
    );
    const sidero = await start({ objects: [large, named('server-1')], plugins: [moody] });
    await expect(sidero.lifecycle.allocate(claimOf('m'))).rejects.toThrow('Plugin "moody" failed in hook "allocate"');
    expect(await bindings(sidero)).toEqual([]);
    isBroken = false;
    expect((await sidero.lifecycle.allocate(claimOf('m'))).metadata.name).toBe('server-1');
  });

  test('that find nothing good in a large fleet are asked again about the servers they have not seen', async () => {
    const sidero = await start({ objects: [large, ...[1, 2, 3, 4, 5].map((index) => named(`server-${index}`))] });
    const hooks = createHooks();
    hooks.allocate.tap('only-last', ({ candidates, rejected, ...rest }) => {
      const others = candidates.filter(({ server }) => server.metadata.name !== 'server-5');
      const refused = others.map(({ server }) => ({ server, plugin: 'only-last', reason: 'not the last' }));
      return { ...rest, candidates: candidates.filter((candidate) => !others.includes(candidate)), rejected: [...rejected, ...refused] };
    });
    await using replica = anotherReplica(sidero, { hooks, limits: { window: 2, windows: 2 } });
    await expect(replica.allocate(claimOf('m'))).rejects.toThrow('of 5 in ServerClass large: 4 not the last (only-last), 1 looked at next time');
    expect((await replica.allocate(claimOf('m'))).metadata.name).toBe('server-5');
  });
});

async function createWhole({ resources }: TestSidero, server: Server): Promise<void> {
  const { status, ...rest } = server;
  await resources.create(ServerKind, rest);
  await resources.change(ServerKind, server.metadata, (draft) => {
    if (status) draft.status = status;
  });
}

test('an explanation tells of every server, and takes none', async () => {
  const favourite = scoring('favourite', (selection) => ({
    ...selection,
    candidates: selection.candidates.map((candidate) =>
      candidate.server.metadata.name === 'server-3' ? { ...candidate, score: 7, notes: ['+7: a favourite'] } : candidate,
    ),
  }));
  const small = aServerClass({ metadata: { name: 'small' }, spec: { selector: { matchLabels: { size: 'small' } } } });
  const labels = { size: 'small' };
  const sidero = await start({
    objects: [
      small,
      named('server-1'),
      named('server-2', { metadata: { labels } }),
      named('server-3', { metadata: { labels } }),
      named('server-4', { metadata: { labels }, status: { isClean: false } }),
    ],
    plugins: [favourite],
  });
  const claim = claimOf('m', { serverClass: 'small' });
  const before = await sidero.lifecycle.explainAllocation(claim);
  expect(before.taken).toBeUndefined();
  expect(before.candidates.map(({ server, score, notes }) => [server.metadata.name, score, notes])).toEqual([
    ['server-3', 7, ['+7: a favourite']],
    ['server-2', 0, []],
  ]);
  expect(before.rejected.map(({ server, plugin: by, reason }) => [server.metadata.name, by, reason])).toEqual([
    ['server-1', 'core', 'not in ServerClass small'],
    ['server-4', 'core', 'not clean'],
  ]);
  expect(await bindings(sidero)).toEqual([]);

  await sidero.lifecycle.allocate(claim);
  expect((await sidero.lifecycle.explainAllocation(claim)).taken?.metadata.name).toBe('server-3');
});

test('an explanation offers no server that is not fit, whatever a plugin adds', async () => {
  const [dirty, taken] = [named('server-0', { status: { isClean: false } }), named('server-1')];
  const sneaky = scoring('sneaky', (selection) => ({
    ...selection,
    candidates: [...selection.candidates, ...[dirty, taken].map((server) => ({ server, score: 100, notes: [] }))],
  }));
  const { lifecycle } = await start({ objects: [large, dirty, taken, named('server-2')], plugins: [sneaky] });
  await lifecycle.allocate(claimOf('m', { server: 'server-1' }));
  const { candidates, rejected } = await lifecycle.explainAllocation(claimOf('m'));
  expect(candidates.map(({ server }) => server.metadata.name)).toEqual(['server-2']);
  expect(rejected.map(({ server }) => server.metadata.name)).toEqual(['server-0']);
});

/** What befalls a server while claims come in. */
const mishap = fc.constantFrom<'none' | 'cordon' | 'dirty' | 'unaccept' | 'remove'>('none', 'none', 'cordon', 'dirty', 'unaccept', 'remove');

test('however many claims come for however many servers, no server is given twice, nor one that is not fit', async () => {
  const sidero = await start({ objects: [large] });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(mishap, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 12 }), async (fates, count) => {
      const prefix = `run-${++run}`;
      const selector = { matchLabels: { run: prefix } };
      await sidero.resources.create(ServerClassKind, aServerClass({ metadata: { name: prefix }, spec: { selector } }));
      const servers = fates.map((_, index) => named(`${prefix}-${index}`, { metadata: { labels: { run: prefix } }, spec: { hardware: undefined } }));
      await Promise.all(servers.map((server) => createWhole(sidero, server)));
      const unfitBefore = new Set<string>();
      await Promise.all(
        fates.map(async (fate, index) => {
          const ref = { name: `${prefix}-${index}` };
          if (fate === 'none') return;
          unfitBefore.add(ref.name);
          if (fate === 'remove') return sidero.resources.remove(ServerKind, ref);
          await sidero.resources.change(ServerKind, ref, (draft) => {
            if (fate === 'cordon') draft.spec!.cordoned = true;
            if (fate === 'unaccept') draft.spec!.accepted = false;
            if (fate === 'dirty') draft.status = { ...draft.status, isClean: false };
          });
        }),
      );
      const claims = Array.from({ length: count }, (_, index) => claimOf(`${prefix}-m${index}`, { serverClass: prefix }));
      const results = await Promise.allSettled(claims.map((claim) => sidero.lifecycle.allocate(claim)));
      const taken = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.metadata.name] : []));
      const fit = fates.length - unfitBefore.size;
      expect(new Set(taken).size).toBe(taken.length);
      expect(taken.filter((name) => unfitBefore.has(name))).toEqual([]);
      expect(taken.length).toBe(Math.min(fit, count));
    }),
    { numRuns: 15 },
  );
}, 60_000);

test('two replicas that allocate at once never give one server twice', async () => {
  const first = await start({ objects: [large, ...Array.from({ length: 12 }, (_, index) => named(`server-${index}`))] });
  await using second = anotherReplica(first);
  const claims = Array.from({ length: 16 }, (_, index) => claimOf(`m-${index}`));
  const results = await Promise.allSettled(claims.map((claim, index) => (index % 2 === 0 ? first.lifecycle : second).allocate(claim)));
  const taken = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.metadata.name] : []));
  expect(new Set(taken).size).toBe(taken.length);
  expect(taken.length).toBe(12);
});

test('a server that somebody cordoned a moment ago is not given away, although the news has not come yet', async () => {
  const sidero = await start({ objects: [large, named('server-1'), named('server-2'), named('server-3')] });
  // It watches nothing: what others do never comes through.
  await using deaf = anotherReplica(sidero);
  expect((await deaf.allocate(claimOf('m-1'))).metadata.name).toBe('server-1');
  await sidero.resources.change(ServerKind, { name: 'server-2' }, (draft) => void (draft.spec!.cordoned = true));
  expect((await deaf.allocate(claimOf('m-2'))).metadata.name).toBe('server-3');
});

test('a ServerBinding whose creation was not answered is the one that the next attempt gives', async () => {
  const sidero = await start({ objects: [large, named('server-1'), named('server-2')] });
  let isLost = true;
  await using replica = anotherReplica(sidero, {
    create: async (kind, object) => {
      const created = await sidero.resources.create(kind, object);
      if (!isLost) return created;
      isLost = false;
      throw new Error('the answer was lost');
    },
  });
  await expect(replica.allocate(claimOf('m'))).rejects.toThrow('the answer was lost');
  expect((await replica.allocate(claimOf('m'))).metadata.name).toBe('server-1');
  expect(await bindings(sidero)).toEqual(['server-1']);
});

test("a ServerBinding that is there because its creation was sent twice is the claim's", async () => {
  const sidero = await start({ objects: [large, named('server-1'), named('server-2')] });
  await using replica = anotherReplica(sidero, {
    create: async (kind, object) => {
      await sidero.resources.create(kind, object);
      return sidero.resources.create(kind, object);
    },
  });
  expect((await replica.allocate(claimOf('m'))).metadata.name).toBe('server-1');
  expect(await bindings(sidero)).toEqual(['server-1']);
});

/** The stage of another process on the same API. */
function anotherReplica(
  { kubeConfig }: TestSidero,
  { hooks = createHooks(), limits, create }: { hooks?: LifecycleHooks; limits?: SearchLimits; create?: ResourceClient['create'] } = {},
): AllocateStage & AsyncDisposable {
  const log = createLogger({ level: 'silent' });
  const metrics = createMetrics();
  const client = createResourceClient({ kubeConfig: () => kubeConfig, log, metrics, component: 'another' });
  const resources = create ? new Proxy(client, { get: (target, key) => (key === 'create' ? create : bound(target, key)) }) : client;
  const unused = () => Promise.reject(new Error('no part of allocation'));
  const context: StageContext = {
    hooks,
    resources,
    log,
    metrics,
    installation: () => readInstallation(resources),
    now: () => new Date(),
    stream: () => undefined,
    site: {} as StageContext['site'],
    localCopy: unused,
    agentCopy: unused,
    mint: unused,
  };
  return { ...createAllocateStage(context, limits), [Symbol.asyncDispose]: () => client.close() };
}

// A private member is found on the object itself only.
function bound(target: object, key: string | symbol): unknown {
  const member: unknown = Reflect.get(target, key);
  return typeof member === 'function' ? (member.bind(target) as unknown) : member;
}
