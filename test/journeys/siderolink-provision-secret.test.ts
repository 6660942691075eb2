import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { checkConfig, type KubeObject, messageOf, type Plugin, SecretKind, ServerBindingKind } from '@sidero/core';
import { assemble, type RunningSidero, startSidero } from '@sidero/core/start';
import { siderolink } from '@sidero/plugin-siderolink';
import { aBinding, aBootRequest, FIXTURE_UUID, freePorts, silentLogger, type TestSidero, testSidero } from '@sidero/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aKey, boundServer, provisionAt, refusal, theEnvironment } from './siderolink-provision/plane.ts';

const SECRET = { namespace: 'default', name: 'siderolink' };
const DOCS = {
  'installation-id': 'QUtmZGFmVGJtUGVFcWp0RGMzT1BHSzlGcmlHTzdDQ0JCSU9aRzRSamdtWT0=',
  'private-key': 'ME05bHhBd3JwV0hDczhNbm1aR3RDL1ZjK0ZSUFM5UzQwd25IU00wQ3dHOD0=',
};

/** An API where nobody has SideroLink yet. */
let api: TestSidero;
let dataDir: string;
const replicas: RunningSidero[] = [];
beforeEach(async () => {
  api = await testSidero({ objects: [boundServer(), theEnvironment(), aBinding()] });
  dataDir = await mkdtemp(join(tmpdir(), 'siderolink-secret-'));
});
afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.close();
  await api.close();
  await rm(dataDir, { recursive: true });
});

/** A replica on that API; of several one leads, by the Lease. */
async function replica(plugins?: readonly Plugin[]): Promise<RunningSidero> {
  const kubeconfig = join(dataDir, 'kubeconfig');
  await writeFile(kubeconfig, api.kubeConfig.exportConfig(), { mode: 0o600 });
  const [{ http: httpPort }, { http: logPort }, { http: eventPort }] = [await freePorts(), await freePorts(), await freePorts()];
  const options = {
    endpoint: '127.0.0.1',
    httpPort,
    dataDir,
    namespace: 'default',
    healthAddress: '127.0.0.1:0',
    diagnosticsAddress: 'off',
  } as const;
  const link = siderolink({ tunnel: 'loopback', logPort, eventPort });
  const variables = { SIDERO_FETCH_ENVIRONMENTS: 'false' };
  const config = checkConfig({ ...options, plugins: plugins ?? [link] }, { file: 'replica', variables });
  const running = await startSidero({ config, kubeconfig, log: silentLogger(), variables, host: '127.0.0.1' });
  running.done.catch(() => undefined);
  replicas.push(running);
  return running;
}

const aSecret = (data: Record<string, string>): KubeObject & { data: Record<string, string> } => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { ...SECRET },
  data,
});

describe('the Secret siderolink', () => {
  test('is made once, by whichever replica is first, in the form of the original, and moves along', async () => {
    await Promise.all([replica(), replica(), replica()]);
    const secret = await api.resources.get(SecretKind, SECRET, { live: true });
    expect(secret?.metadata.labels).toEqual({ 'clusterctl.cluster.x-k8s.io/move': '' });
    expect(Object.keys(secret?.data ?? {}).toSorted()).toEqual(['installation-id', 'private-key']);
    for (const value of Object.values(secret!.data!)) {
      const text = Buffer.from(value, 'base64').toString('utf8');
      expect([text.length, Buffer.from(text, 'base64').length]).toEqual([44, 32]);
    }
    const keys = await Promise.all(
      replicas.map(({ port }) => provisionAt(port, { nodePublicKey: aKey() }).then(({ serverPublicKey }) => serverPublicKey)),
    );
    expect(new Set(keys).size).toBe(1);
  });

  test('of the original is used as it is', async () => {
    await api.resources.create(SecretKind, aSecret(DOCS));
    const { port } = await replica();
    expect((await provisionAt(port)).serverPublicKey).toBe('ze3mghJ7ABkWOhrfQukVRjEvMIHvPSF3E1W1VzApD1U=');
    expect((await api.resources.get(SecretKind, SECRET, { live: true }))?.data).toEqual(DOCS);
  });

  test.each([
    ['installation-id', 'is missing', {}],
    ['private-key', 'is missing', { 'installation-id': DOCS['installation-id'] }],
    ['private-key', 'is no WireGuard key', { ...DOCS, 'private-key': Buffer.from('AAAA').toString('base64') }],
    ['private-key', 'is no WireGuard key', { ...DOCS, 'private-key': Buffer.from(` ${aKey()}`).toString('base64') }],
    ['installation-id', 'is not text', { ...DOCS, 'installation-id': '/w==' }],
  ])('whose %s %s stops the start, and is not touched', async (key, problem, data) => {
    await api.resources.create(SecretKind, aSecret(data));
    await expect(replica()).rejects.toMatchObject({
      code: 'SIDERO_SIDEROLINK_SECRET_INVALID',
      details: { key },
      message: expect.stringContaining(problem),
    });
    expect((await api.resources.get(SecretKind, SECRET, { live: true }))?.data ?? {}).toEqual(data);
  });

  test('that is gone is not made anew while machines have addresses that it gave', async () => {
    await api.resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
      draft.spec = { ...draft.spec!, siderolink: { address: 'fdae:2859:5bb1:7a03:3ae3:be30:7ec4:4c09/64', publicKey: aKey() } };
    });
    await expect(replica()).rejects.toMatchObject({ code: 'SIDERO_SIDEROLINK_SECRET_MISSING', details: { bindings: 1 } });
    expect(await api.resources.get(SecretKind, SECRET, { live: true })).toBeUndefined();
  });
});

describe('before the Secret siderolink was read', () => {
  // Set up, and nothing runs: as at the very start, and in commands.
  const setUp = () => {
    const plugins = [siderolink({ tunnel: 'loopback' })];
    const config = checkConfig({ endpoint: '127.0.0.1', dataDir, plugins }, { file: 'command', variables: {} });
    const { kernel, cluster } = assemble({ config, log: silentLogger(), variables: {} });
    cluster.resolve(api.kubeConfig);
    return kernel.lifecycle;
  };

  test('a bound machine that boots is told to wait', async () => {
    expect(await setUp().boot(aBootRequest())).toMatchObject({
      target: 'wait',
      status: 503,
      reason: expect.stringContaining('siderolink') as string,
    });
  });

  test('a command reads it, and never makes it', async () => {
    const binding = (await api.resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true }))!;
    await expect(setUp().bind(binding)).rejects.toThrow(/Secret default\/siderolink was not read yet/);
    expect(await api.resources.get(SecretKind, SECRET, { live: true })).toBeUndefined();
    await api.resources.create(SecretKind, aSecret(DOCS));
    expect((await setUp().bind(binding)).documents).toHaveLength(3);
  });
});

describe('the Secret siderolink of a management plane that runs', () => {
  const readyz = async ({ healthPort }: RunningSidero) => (await fetch(`http://127.0.0.1:${healthPort}/readyz?verbose`)).text();

  test('is missed when it is gone: machines stay, people are told', async () => {
    const running = await replica();
    const { serverPublicKey } = await provisionAt(running.port);
    await api.resources.remove(SecretKind, SECRET);
    await expect
      .poll(() => readyz(running), { timeout: 20_000 })
      .toMatch(/\[\+\]siderolink ok, but: the Secret default\/siderolink is gone; .*\n[^]*readyz check passed/);
    expect((await provisionAt(running.port)).serverPublicKey).toBe(serverPublicKey);
    expect(await api.resources.get(SecretKind, SECRET, { live: true })).toBeUndefined();
  }, 30_000);

  test('takes the place of the one before when it is another one, with another network', async () => {
    const running = await replica();
    await provisionAt(running.port);
    await api.resources.change(SecretKind, SECRET, (draft) => {
      draft.data = { ...DOCS };
    });
    const publicKey = () => provisionAt(running.port).then(({ serverPublicKey }) => serverPublicKey, messageOf);
    await expect.poll(publicKey, { timeout: 20_000 }).toBe('ze3mghJ7ABkWOhrfQukVRjEvMIHvPSF3E1W1VzApD1U=');
  }, 30_000);
});

describe('several replicas', () => {
  test('all let machines in, and answer once the one that leads has them in place', async () => {
    const all = [await replica(), await replica()];
    for (const { port } of all) {
      const nodePublicKey = aKey();
      const { nodeAddressPrefix } = await provisionAt(port, { nodePublicKey });
      const binding = await api.resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true });
      expect(binding?.spec?.siderolink).toEqual({ address: nodeAddressPrefix, publicKey: nodePublicKey });
      expect(binding?.metadata.annotations).not.toHaveProperty('metal.sidero.dev/siderolink-pending');
    }
  });

  test('do not say that a machine is in place while nobody let it in', async () => {
    // This one leads, and has no tunnel.
    const leader = await replica([]);
    const follower = await replica();
    await expect(provisionAt(follower.port)).rejects.toEqual(refusal(status.UNAVAILABLE, /no replica let it in/));
    await leader.close();
    // Now it leads itself.
    await expect.poll(() => provisionAt(follower.port).then(() => 'in place', messageOf), { timeout: 20_000 }).toBe('in place');
  }, 40_000);
});
