import { Writable } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node';
import {
  createLogger,
  createMetrics,
  createResourceClient,
  EventKind,
  type Kind,
  type KubeObject,
  type Ref,
  type RunningResourceClient,
  type Secret,
  SecretKind,
  type Server,
  type ServerClass,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

/** A Kubernetes API that serves core's kinds. */
export interface RunningApi {
  readonly kubeConfig: KubeConfig;
  close(): Promise<void>;
}

const until = (assertion: () => void | Promise<void>) => vi.waitFor(assertion, { timeout: 30_000, interval: 10 });

function aClient(api: RunningApi): RunningResourceClient {
  const log = createLogger({ level: 'silent', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });
  return createResourceClient({ kubeConfig: () => api.kubeConfig, log, metrics: createMetrics(), component: 'sidero-test' });
}

let names = 0;
/** A name that no other test uses. */
const aName = (what = 'server') => `${what}-${++names}`;

function aServer(name: string, more: { labels?: Record<string, string>; finalizers?: string[]; cordoned?: boolean } = {}): Server {
  const { cordoned, ...metadata } = more;
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name, ...metadata },
    spec: { accepted: false, ...(cordoned === undefined ? {} : { cordoned }) },
  };
}

const aSecret = (ref: Ref): Secret => ({ apiVersion: 'v1', kind: 'Secret', metadata: { ...ref }, data: { key: 'dmFsdWU=' } });

/** Everything a watcher was told about some objects, and what it must now believe. */
class Witness {
  readonly told: string[] = [];
  readonly believed = new Map<string, KubeObject>();

  watch(client: RunningResourceClient, isOurs: (name: string) => boolean, signal: AbortSignal): void {
    const take = ({ type, object }: { type: string; object: KubeObject }) => {
      const { name } = object.metadata;
      if (!isOurs(name)) return;
      this.told.push(`${type} ${name}`);
      expect(type === 'added').toBe(!this.believed.has(name));
      if (type === 'removed') this.believed.delete(name);
      else this.believed.set(name, object);
    };
    void client.watch(ServerKind, take, signal);
  }
}

/**
 * What a Kubernetes API and the resource client must do together; the same for every API.
 * @param start gives an API that serves core's kinds, without webhooks or with them
 */
export function describeResourceClient(name: string, start: () => Promise<RunningApi>): void {
  describe(`resource client on ${name}`, () => {
    let api: RunningApi;
    let client: RunningResourceClient;
    let stop: AbortController;

    beforeAll(async () => {
      api = await start();
      client = aClient(api);
    }, 120_000);

    afterAll(async () => {
      await client?.close();
      await api?.close();
    });

    /** Clients that watch Servers, one per process as it were. */
    const watchers: RunningResourceClient[] = [];
    async function aWatchingClient(register: (client: RunningResourceClient) => void = () => {}): Promise<RunningResourceClient> {
      const watching = aClient(api);
      watchers.push(watching);
      void watching.watch(ServerKind, () => {}, stop.signal);
      register(watching);
      watching.start(stop.signal);
      await watching.synced();
      return watching;
    }

    beforeAll(() => {
      stop = new AbortController();
    });

    afterEach(async () => {
      stop.abort();
      stop = new AbortController();
      await Promise.all(watchers.splice(0).map((watching) => watching.close()));
    });

    describe('one object', () => {
      test('is created, read, changed and removed', async () => {
        const ref = { name: aName() };
        const created = await client.create(ServerKind, aServer(ref.name, { labels: { rack: 'a' } }));
        expect(created).toMatchObject({
          apiVersion: ServerKind.apiVersion,
          kind: 'Server',
          metadata: { name: ref.name, labels: { rack: 'a' } },
          spec: { accepted: false },
        });
        const changed = await client.change(ServerKind, ref, (draft) => {
          draft.spec!.accepted = true;
          draft.metadata.labels = { row: 'b' };
        });
        expect(changed).toMatchObject({ metadata: { uid: created.metadata.uid, labels: { row: 'b' } }, spec: { accepted: true } });
        expect(changed.metadata.labels).not.toHaveProperty('rack');
        expect(await client.get(ServerKind, ref)).toEqual(changed);
        await client.remove(ServerKind, ref);
        expect(await client.get(ServerKind, ref)).toBeUndefined();
      });

      test('of a namespaced kind is found in its namespace only', async () => {
        const secret = aSecret({ namespace: 'default', name: aName('secret') });
        await client.create(SecretKind, secret);
        expect((await client.get(SecretKind, secret.metadata))?.data).toEqual({ key: 'dmFsdWU=' });
        expect(await client.get(SecretKind, { namespace: 'kube-system', name: secret.metadata.name })).toBeUndefined();
        const names = async (namespace: string) => (await client.list(SecretKind, { namespace })).map(({ metadata }) => metadata.name);
        expect(await names('default')).toContain(secret.metadata.name);
        expect(await names('kube-system')).not.toContain(secret.metadata.name);
        const all = await client.list(SecretKind);
        expect(all.find(({ metadata }) => metadata.name === secret.metadata.name)).toMatchObject({ apiVersion: 'v1', kind: 'Secret' });
      });

      test('cannot be created twice', async () => {
        const server = aServer(aName());
        await client.create(ServerKind, server);
        await expect(client.create(ServerKind, server)).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_EXISTS' });
      });

      test('that is not there: reading gives nothing, changing its code, removing is no error', async () => {
        const ref = { name: 'nobody' };
        expect(await client.get(ServerKind, ref)).toBeUndefined();
        await expect(client.change(ServerKind, ref, () => {})).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_MISSING' });
        await client.remove(ServerKind, ref);
      });

      test('of a kind that the API does not know: nothing is concluded about it', async () => {
        const kind: Kind<KubeObject> = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Unknown', plural: 'unknowns', namespaced: false };
        const unknown = { code: 'SIDERO_RESOURCE_FAILED', details: { status: 404 } };
        await expect(client.get(kind, { name: 'a' })).rejects.toMatchObject(unknown);
        await expect(client.list(kind)).rejects.toMatchObject(unknown);
        await expect(client.remove(kind, { name: 'a' })).rejects.toMatchObject(unknown);
      });

      test('that the API refuses is an error that says why', async () => {
        const refused = client.create(ServerKind, aServer('Not_A_Name'));
        await expect(refused).rejects.toMatchObject({
          code: 'SIDERO_RESOURCE_FAILED',
          details: { status: 422 },
          message: expect.stringContaining('Not_A_Name'),
        });
      });
    });

    describe('changing', () => {
      test('spec and status are both written by one edit', async () => {
        const ref = { name: aName() };
        await client.create(ServerKind, aServer(ref.name));
        await client.change(ServerKind, ref, (draft) => {
          draft.spec!.accepted = true;
          draft.status = { ready: true, isClean: false, power: 'on' };
        });
        expect(await client.get(ServerKind, ref)).toMatchObject({ spec: { accepted: true }, status: { ready: true, isClean: false, power: 'on' } });
        await client.change(ServerKind, ref, (draft) => {
          delete draft.status!.power;
          draft.status!.isClean = true;
        });
        const { status } = (await client.get(ServerKind, ref))!;
        expect(status).toMatchObject({ ready: true, isClean: true });
        expect(status).not.toHaveProperty('power');
      });

      test('nothing leaves the version as it is', async () => {
        const ref = { name: aName() };
        const created = await client.create(ServerKind, aServer(ref.name, { labels: { a: 'b' } }));
        const same = await client.change(ServerKind, ref, (draft) => {
          draft.metadata.labels = { a: 'b' };
          draft.spec = { accepted: false };
        });
        expect(same.metadata.resourceVersion).toBe(created.metadata.resourceVersion);
      });

      test('writers that meet all get through, and none is lost', async () => {
        const ref = { name: aName('secret'), namespace: 'default' };
        await client.create(SecretKind, aSecret(ref));
        const others = [client, await aWatchingClient(), await aWatchingClient()];
        const edits = others.flatMap((writer, index) =>
          [0, 1].map((turn) => writer.change(SecretKind, ref, (draft) => void (draft.data![`w${index}${turn}`] = 'eA=='))),
        );
        await Promise.all(edits);
        const { data } = (await client.get(SecretKind, ref))!;
        expect(Object.keys(data!).toSorted()).toEqual(['key', 'w00', 'w01', 'w10', 'w11', 'w20', 'w21']);
      });

      test('an edit that sees that somebody else was faster abandons', async () => {
        const ref = { name: aName() };
        await client.create(ServerKind, aServer(ref.name));
        const claimants = await Promise.all([1, 2, 3].map(() => aWatchingClient()));
        const claim = (by: string) => (draft: Server) => {
          if (draft.metadata.annotations?.['owner'] !== undefined) return false;
          draft.metadata.annotations = { owner: by };
        };
        const results = await Promise.all(claimants.map((claimant, index) => claimant.change(ServerKind, ref, claim(`c${index}`))));
        const owner = (await client.get(ServerKind, ref))!.metadata.annotations!['owner'];
        expect(results.map(({ metadata }) => metadata.annotations!['owner'])).toEqual([owner, owner, owner]);
      });
    });

    describe('the cache', () => {
      test('gives what was written at once', async () => {
        const watching = await aWatchingClient();
        for (let turn = 0; turn < 20; turn++) {
          const ref = { name: aName() };
          await watching.create(ServerKind, aServer(ref.name));
          expect(await watching.get(ServerKind, ref)).toBeDefined();
          const { metadata } = await watching.change(ServerKind, ref, (draft) => void (draft.spec!.accepted = true));
          expect((await watching.get(ServerKind, ref))?.metadata.resourceVersion).toBe(metadata.resourceVersion);
          await watching.remove(ServerKind, ref);
          expect(await watching.get(ServerKind, ref)).toBeUndefined();
        }
      });

      test('selects by labels as the API does', async () => {
        const watching = await aWatchingClient();
        const zoned = [{ zone: 'a' }, { zone: 'b', ready: '' }, { ready: 'yes', 'sidero.dev/arch': 'arm64' }, {}];
        const ours = await Promise.all(
          zoned.map((labels) => watching.create(ServerKind, aServer(aName('labelled'), { labels: { ours: 'yes', ...labels } }))),
        );
        const known = (servers: readonly Server[]) =>
          servers
            .map(({ metadata }) => metadata.name)
            .filter((one) => ours.some(({ metadata }) => metadata.name === one))
            .toSorted();
        for (const selector of [
          'zone=a',
          'zone!=a',
          'zone in (a, b)',
          'zone notin (a)',
          'ready',
          '!ready',
          'ready=',
          'ours=yes,!zone',
          'sidero.dev/arch=arm64',
          'ours==no',
        ]) {
          const filter = { labels: selector };
          expect([selector, known(await watching.list(ServerKind, filter))]).toEqual([
            selector,
            known(await watching.list(ServerKind, filter, { live: true })),
          ]);
        }
        for (const labels of ['a=b=c', 'zone in a']) {
          await expect(watching.list(ServerKind, { labels })).rejects.toMatchObject({ code: 'SIDERO_SELECTOR_INVALID' });
          await expect(watching.list(ServerKind, { labels }, { live: true })).rejects.toMatchObject({
            code: 'SIDERO_RESOURCE_FAILED',
            details: { status: 400 },
          });
        }
      });

      test('gives only the metadata of a kind when that is enough', async () => {
        const name = aName('class');
        const annotations = { 'example.dev/note': 'kept' };
        const spec = { selector: { matchLabels: { size: 'large' } } };
        await client.create<ServerClass>(ServerClassKind, {
          apiVersion: 'metal.sidero.dev/v1alpha2',
          kind: 'ServerClass',
          metadata: { name, annotations },
          spec,
        });
        const found = (await client.listMetadata(ServerClassKind)).find(({ metadata }) => metadata.name === name);
        expect(found).toMatchObject({ apiVersion: ServerClassKind.apiVersion, kind: 'ServerClass', metadata: { name, annotations } });
        expect(found).not.toHaveProperty('spec');
      });

      test('finds by index, before and after it is filled', async () => {
        const prefix = aName('indexed');
        await client.create(ServerKind, aServer(`${prefix}-a`, { cordoned: true }));
        const indexed = (on: RunningResourceClient) => on.index(ServerKind, 'cordoned', ({ spec }) => (spec?.cordoned ? [prefix] : []));
        const early = aClient(api);
        indexed(early);
        expect(await early.find(ServerKind, 'cordoned', prefix)).toHaveLength(1);
        await early.close();
        const watching = await aWatchingClient(indexed);
        await watching.create(ServerKind, aServer(`${prefix}-b`, { cordoned: true }));
        await client.remove(ServerKind, { name: `${prefix}-a` });
        await until(async () =>
          expect((await watching.find(ServerKind, 'cordoned', prefix)).map(({ metadata }) => metadata.name)).toEqual([`${prefix}-b`]),
        );
      });
    });

    describe('watching', () => {
      test('tells what others do, each thing once', async () => {
        const witness = new Witness();
        const ref = { name: aName('seen') };
        await aWatchingClient((watching) => witness.watch(watching, (one) => one === ref.name, stop.signal));
        await client.create(ServerKind, aServer(ref.name));
        await client.change(ServerKind, ref, (draft) => void (draft.spec!.accepted = true));
        await client.change(ServerKind, ref, (draft) => void (draft.status = { ready: true }));
        await client.remove(ServerKind, ref);
        const what = ['added', 'changed', 'changed', 'removed'].map((type) => `${type} ${ref.name}`);
        await until(() => expect(witness.told).toEqual(what));
      });

      test('an object that waits for its finalizers is still there, and is gone after them', async () => {
        const witness = new Witness();
        const ref = { name: aName('held') };
        const watching = await aWatchingClient((one) => witness.watch(one, (other) => other === ref.name, stop.signal));
        await watching.create(ServerKind, aServer(ref.name, { finalizers: ['metal.sidero.dev/test'] }));
        await watching.remove(ServerKind, ref);
        await until(async () => expect((await watching.get(ServerKind, ref))?.metadata.deletionTimestamp).toBeDefined());
        await watching.change(ServerKind, ref, (draft) => void (draft.metadata.finalizers = []));
        await until(async () => expect(await watching.get(ServerKind, ref)).toBeUndefined());
        await until(() => expect(witness.told.at(-1)).toBe(`removed ${ref.name}`));
        expect(await watching.get(ServerKind, ref, { live: true })).toBeUndefined();
      });

      test('many writers at once: every watcher believes the same in the end, and it is true', async () => {
        const prefix = aName('crowd');
        const isOurs = (one: string) => one.startsWith(prefix);
        const witnesses = [new Witness(), new Witness(), new Witness()];
        const writers = await Promise.all(witnesses.map((witness) => aWatchingClient((watching) => witness.watch(watching, isOurs, stop.signal))));
        const act = async (writer: RunningResourceClient, turn: number) => {
          const ref = { name: `${prefix}-${turn % 7}` };
          const acts = [
            () => writer.create(ServerKind, aServer(ref.name)),
            () => writer.change(ServerKind, ref, (draft) => void (draft.metadata.annotations = { turn: String(turn) })),
            () => writer.change(ServerKind, ref, (draft) => void (draft.status = { power: `p${turn}` })),
            () => writer.remove(ServerKind, ref),
          ];
          // Others remove, create and change the same objects meanwhile.
          await acts[(turn * 7919) % 4]!().catch((thrown: unknown) => expect((thrown as { code: string }).code).toMatch(/EXISTS|MISSING|CONFLICT/));
        };
        await Promise.all(
          writers.map(async (writer, which) => {
            for (let turn = 0; turn < 60; turn++) await act(writer, turn * 3 + which);
          }),
        );
        const truth = (await client.list(ServerKind)).filter(({ metadata }) => isOurs(metadata.name));
        const sorted = (servers: Iterable<KubeObject>) =>
          [...servers].toSorted((left, right) => left.metadata.name.localeCompare(right.metadata.name));
        for (const [index, witness] of witnesses.entries()) {
          await until(() => expect(sorted(witness.believed.values())).toEqual(sorted(truth)));
          const cached = (await writers[index]!.list(ServerKind)).filter(({ metadata }) => isOurs(metadata.name));
          expect(sorted(cached)).toEqual(sorted(truth));
        }
      });

      test('of a kind with a thousand objects is complete', async () => {
        const prefix = aName('class');
        const classes = Array.from(
          { length: 1001 },
          (_, index): ServerClass => ({
            apiVersion: 'metal.sidero.dev/v1alpha2',
            kind: 'ServerClass',
            metadata: { name: `${prefix}-${index}` },
            spec: {},
          }),
        );
        for (let at = 0; at < classes.length; at += 50)
          await Promise.all(classes.slice(at, at + 50).map((one) => client.create(ServerClassKind, one)));
        const watching = await aWatchingClient((one) => one.index(ServerClassKind, 'all', () => ['all']));
        expect((await watching.find(ServerClassKind, 'all', 'all')).filter(({ metadata }) => metadata.name.startsWith(prefix))).toHaveLength(1001);
        expect((await client.list(ServerClassKind)).length).toBeGreaterThanOrEqual(1001);
      }, 60_000);
    });

    describe('Events', () => {
      const about = async (name: string) =>
        (await client.list(EventKind, { namespace: 'default' })).filter(({ involvedObject }) => involvedObject.name === name);

      test('are recorded about an object, and counted when they repeat', async () => {
        const server = await client.create(ServerKind, aServer(aName()));
        for (let turn = 0; turn < 3; turn++) await client.record(server, { type: 'Normal', reason: 'Accepted', message: 'its serial is known' });
        await client.record(server, { type: 'Warning', reason: 'PowerUnknown', message: 'no reply', component: 'sidero-server' });
        const events = await about(server.metadata.name);
        expect(events.toSorted((left, right) => left.reason!.localeCompare(right.reason!))).toMatchObject([
          {
            type: 'Normal',
            reason: 'Accepted',
            message: 'its serial is known',
            count: 3,
            source: { component: 'sidero-test' },
            involvedObject: { kind: 'Server', uid: server.metadata.uid },
          },
          { type: 'Warning', reason: 'PowerUnknown', count: 1, source: { component: 'sidero-server' } },
        ]);
      });

      test('about a namespaced object lie in its namespace', async () => {
        const secret = await client.create(SecretKind, aSecret({ namespace: 'kube-system', name: aName('secret') }));
        await client.record(secret, { type: 'Normal', reason: 'Made', message: 'x' });
        const events = await client.list(EventKind, { namespace: 'kube-system' });
        expect(events.filter(({ involvedObject }) => involvedObject.name === secret.metadata.name)).toHaveLength(1);
      });
    });
  });
}
