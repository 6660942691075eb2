import { existsSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { KubeConfig } from '@kubernetes/client-node';
import {
  coreCustomResources,
  createLogger,
  createMetrics,
  createResourceClient,
  type Metrics,
  type ResourceClientOptions,
  type RunningResourceClient,
  runControllers,
  type Server,
  ServerKind,
} from '@sidero/core';
import { describeLeaderElection, describeResourceClient } from '@sidero/testing/suites';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { installKinds, KUBERNETES_VERSION, type RealKubeApi, startKubeApiServer, testCache } from './kube-apiserver.ts';

const isPossible = existsSync(join(testCache(), `kubernetes-${KUBERNETES_VERSION}`, 'kube-apiserver'));

async function start(): Promise<RealKubeApi> {
  const api = await startKubeApiServer();
  await installKinds(api, coreCustomResources());
  return api;
}

const until = (assertion: () => void | Promise<void>) => vi.waitFor(assertion, { timeout: 60_000, interval: 20 });

/** A way to a port of this host that can be taken away. */
interface Link extends AsyncDisposable {
  readonly port: number;
  readonly connections: number;
  /** Breaks what is open and refuses what comes. */
  cut(): void;
  mend(): void;
  /** What is open now stays open, and nothing passes it any more. */
  swallow(): void;
}

async function openLink(to: number): Promise<Link> {
  const open = new Set<Socket>();
  const swallowed = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(to, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => {}).on('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      }); // biome-ignore format: one chain
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const breakAll = () => {
    for (const socket of [...open, ...swallowed]) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return open.size / 2;
    },
    cut() {
      isCut = true;
      breakAll();
    },
    mend() {
      isCut = false;
    },
    swallow() {
      for (const socket of open) swallowed.add(socket.unpipe().resume());
      open.clear();
    },
    async [Symbol.asyncDispose]() {
      breakAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const aServer = (name: string): Server => ({
  apiVersion: 'metal.sidero.dev/v1alpha2',
  kind: 'Server',
  metadata: { name },
  spec: { accepted: false },
});

describe.skipIf(!isPossible)('a real kube-apiserver', () => {
  describeResourceClient('kube-apiserver', start);
  describeLeaderElection('kube-apiserver', start);

  describe('when it fails', () => {
    let api: RealKubeApi;
    let stop: AbortController;
    let metrics: Metrics;
    let clients: RunningResourceClient[];
    let logged: { msg: string; state?: string }[];

    beforeAll(async () => {
      api = await start();
    });

    afterAll(() => api?.close());

    beforeEach(() => {
      stop = new AbortController();
      metrics = createMetrics();
      clients = [];
      logged = [];
    });

    afterEach(async () => {
      stop.abort();
      await Promise.all(clients.map((client) => client.close()));
    });

    function aClient(options: Partial<ResourceClientOptions> = {}): RunningResourceClient {
      const destination = new Writable({
        write(chunk: Buffer, _encoding, done) {
          logged.push(JSON.parse(chunk.toString()) as (typeof logged)[number]);
          done();
        },
      });
      const client = createResourceClient({
        kubeConfig: () => api.kubeConfig,
        log: createLogger({ destination, level: 'info' }),
        metrics,
        component: 'sidero-test',
        ...options,
      });
      clients.push(client);
      return client;
    }

    /** The API by way of a link. */
    function through(port: number): KubeConfig {
      const config = new KubeConfig();
      config.loadFromString(api.kubeConfig.exportConfig());
      config.clusters = [{ ...config.clusters[0]!, server: `https://127.0.0.1:${port}` }];
      return config;
    }

    /** Retries until the API is there again. */
    async function write(by: RunningResourceClient, ref: { name: string }, edit: (draft: Server) => void): Promise<void> {
      await until(async () => void (await by.change(ServerKind, ref, edit)));
    }

    test('killed and restarted: controllers go on, and no change is missed', async () => {
      const client = aClient();
      const writer = aClient();
      const believed = new Map<string, string>();
      // Copies the host name of each server to an annotation: the work is done when all agree.
      const controller = {
        name: 'copy',
        kind: ServerKind,
        async reconcile(ref: { name: string }) {
          const server = await client.get(ServerKind, ref);
          if (!server?.spec?.hostname || server.metadata.annotations?.['copy'] === server.spec.hostname) return undefined;
          await client.change(ServerKind, ref, (draft) => void (draft.metadata.annotations = { copy: draft.spec!.hostname! }));
          return undefined;
        },
      };
      void client.watch(ServerKind, ({ type, object }) => {
        expect(type === 'added').toBe(!believed.has(object.metadata.name));
        if (type === 'removed') believed.delete(object.metadata.name);
        else believed.set(object.metadata.name, object.metadata.resourceVersion!);
      }, stop.signal); // biome-ignore format: the options come last
      client.start(stop.signal);
      const running = runControllers({ controllers: [controller], client, log: createLogger({ level: 'silent' }), metrics, signal: stop.signal });
      const refs = Array.from({ length: 30 }, (_, index) => ({ name: `killed-${index}` }));
      for (const ref of refs) await writer.create(ServerKind, aServer(ref.name));

      for (const round of [1, 2]) {
        const restarted = api.kill().then(() => api.restart());
        const writes = refs.map((ref, index) => write(writer, ref, (draft) => void (draft.spec!.hostname = `host-${index}-${round}`)));
        await Promise.all([restarted, ...writes]);
      }
      await writer.remove(ServerKind, refs[29]!);

      await until(async () => {
        const servers = await client.list(ServerKind, {}, { live: true });
        expect(servers).toHaveLength(29);
        for (const { spec, metadata } of servers) expect(metadata.annotations?.['copy']).toBe(spec!.hostname);
      });
      const truth = (await writer.list(ServerKind)).map(({ metadata }) => [metadata.name, metadata.resourceVersion] as const);
      await until(() => expect(new Map(believed)).toEqual(new Map(truth)));
      expect(logged.filter(({ state }) => state === 'unreachable').length).toBeLessThanOrEqual(2);
      stop.abort();
      await running;
      for (const ref of refs) await writer.remove(ServerKind, ref);
    });

    test('compacted while a client was away (410): a new list tells it the difference, once', async () => {
      await using link = await openLink(Number(new URL(api.url).port));
      const client = aClient({ kubeConfig: () => through(link.port), timing: { backoffMs: { first: 200, most: 1000, missing: 1000 } } });
      const writer = aClient();
      for (const name of ['same', 'changed', 'gone']) await writer.create(ServerKind, aServer(`old-${name}`));
      const told: string[] = [];
      void client.watch(ServerKind, ({ type, object }) => void told.push(`${type} ${object.metadata.name}`), stop.signal);
      client.start(stop.signal);
      await client.synced();
      expect(told).toHaveLength(3);
      told.length = 0;
      link.cut();
      await writer.change(ServerKind, { name: 'old-changed' }, (draft) => void (draft.spec!.accepted = true));
      await writer.remove(ServerKind, { name: 'old-gone' });
      await writer.create(ServerKind, aServer('old-new'));
      await api.compact();
      // The server itself remembers events too.
      await api.restart();
      expect(told).toEqual([]);
      link.mend();
      await until(() => expect(told.toSorted()).toEqual(['added old-new', 'changed old-changed', 'removed old-gone']));
      expect(await metrics.text()).toMatch(/sidero_informer_lists_total\{kind="Server",reason="expired"\} 1/);
      for (const name of ['same', 'changed', 'new']) await writer.remove(ServerKind, { name: `old-${name}` });
    });

    test('behind a connection that is open and swallows everything: the watch is given up and goes on through another', async () => {
      await using link = await openLink(Number(new URL(api.url).port));
      const client = aClient({ kubeConfig: () => through(link.port), timing: { watchSeconds: [2, 2], graceMs: 500 } });
      const told: string[] = [];
      void client.watch(ServerKind, ({ object }) => void told.push(object.metadata.name), stop.signal);
      client.start(stop.signal);
      await client.synced();
      await until(() => expect(link.connections).toBeGreaterThan(1));
      link.swallow();
      await aClient().create(ServerKind, aServer('swallowed'));
      await until(() => expect(told).toEqual(['swallowed']));
      expect(await metrics.text()).toMatch(/sidero_informer_lists_total\{kind="Server",reason="start"\} 1/);
      expect(await metrics.text()).not.toContain('reason="expired"');
      await aClient().remove(ServerKind, { name: 'swallowed' });
    });

    test('without the definition of a kind: it is waited for, and found when it is installed', async () => {
      const name = 'servers.metal.sidero.dev';
      expect((await api.kubectl(['delete', 'crd', name])).code).toBe(0);
      const client = aClient();
      const told: string[] = [];
      void client.watch(ServerKind, ({ type, object }) => void told.push(`${type} ${object.metadata.name}`), stop.signal);
      client.start(stop.signal);
      await client.synced();
      expect(client.unsynced()).toEqual(['Server']);
      await expect(client.create(ServerKind, aServer('early'))).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_FAILED', details: { status: 404 } });
      await installKinds(api, coreCustomResources());
      await until(() => expect(client.unsynced()).toEqual([]));
      await aClient().create(ServerKind, aServer('late'));
      await until(() => expect(told).toEqual(['added late']));

      // And again, with objects: they are told as removed.
      expect((await api.kubectl(['delete', 'crd', name])).code).toBe(0);
      await until(() => expect(told).toEqual(['added late', 'removed late']));
      await installKinds(api, coreCustomResources());
      await aClient().create(ServerKind, aServer('again'));
      await until(() => expect(told.at(-1)).toBe('added again'));
    });

    test('a bearer token works as well as a client certificate, and a wrong one is refused by its code', async () => {
      const withToken = (token: string) => {
        const config = new KubeConfig();
        const cluster = { name: 'test', server: api.url, caData: Buffer.from(api.ca).toString('base64'), skipTLSVerify: false };
        config.loadFromClusterAndUser(cluster, { name: 'test', token });
        return aClient({ kubeConfig: () => config });
      };
      expect(await withToken(api.token).list(ServerKind)).toBeDefined();
      await expect(withToken('wrong').list(ServerKind)).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_FAILED', details: { status: 401 } });
    });

    test('a kubeconfig file serves as well as one in memory', async () => {
      const config = new KubeConfig();
      config.loadFromFile(api.kubeconfigPath);
      expect(await aClient({ kubeConfig: () => config }).list(ServerKind)).toBeDefined();
    });
  });
});
