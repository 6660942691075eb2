import { tmpdir } from 'node:os';
import { checkConfig, EventKind, type KubeObject, messageOf, SecretKind, ServerBindingKind } from '@sidero/core';
import { assemble, type RunningSidero } from '@sidero/core/start';
import { siderolink } from '@sidero/plugin-siderolink';
import { aBootRequest, FIXTURE_UUID, silentLogger, type TestSidero } from '@sidero/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aKey, provisionAt } from './siderolink-provision/plane.ts';
import { type Replicas, replicas } from './siderolink-provision/replicas.ts';

const SECRET = { namespace: 'default', name: 'siderolink' };
const DOCS = {
  'installation-id': 'QUtmZGFmVGJtUGVFcWp0RGMzT1BHSzlGcmlHTzdDQ0JCSU9aRzRSamdtWT0=',
  'private-key': 'ME05bHhBd3JwV0hDczhNbm1aR3RDL1ZjK0ZSUFM5UzQwd25IU00wQ3dHOD0=',
};

let plane: Replicas;
let api: TestSidero;
const replica = () => plane.start();
beforeEach(async () => {
  plane = await replicas();
  ({ api } = plane);
});
afterEach(() => plane[Symbol.asyncDispose]());

const aSecret = (data: Record<string, string>): KubeObject & { data: Record<string, string> } => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { ...SECRET },
  data,
});

describe('the Secret siderolink', () => {
  test('is made once, by whichever replica is first, in the form of the original, and moves along', async () => {
    const all = await Promise.all([replica(), replica(), replica()]);
    const secret = await api.resources.get(SecretKind, SECRET, { live: true });
    expect(secret?.metadata.labels).toEqual({ 'clusterctl.cluster.x-k8s.io/move': '' });
    expect(Object.keys(secret?.data ?? {}).toSorted()).toEqual(['installation-id', 'private-key']);
    for (const value of Object.values(secret!.data!)) {
      const text = Buffer.from(value, 'base64').toString('utf8');
      expect([text.length, Buffer.from(text, 'base64').length]).toEqual([44, 32]);
    }
    const keys = await Promise.all(
      all.map(({ port }) => provisionAt(port, { nodePublicKey: aKey() }).then(({ serverPublicKey }) => serverPublicKey)),
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
    const config = checkConfig({ endpoint: '127.0.0.1', dataDir: tmpdir(), plugins }, { file: 'command', variables: {} });
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
    const backup = (await api.resources.get(SecretKind, SECRET, { live: true }))!.data!;
    await api.resources.remove(SecretKind, SECRET);
    await expect
      .poll(() => readyz(running), { timeout: 20_000 })
      .toMatch(/\[\+\]siderolink ok, but: the Secret default\/siderolink is gone; .*\n[^]*readyz check passed/);
    expect((await provisionAt(running.port)).serverPublicKey).toBe(serverPublicKey);
    expect(await api.resources.get(SecretKind, SECRET, { live: true })).toBeUndefined();

    // Restored from its backup, it is no trouble any more, for `sidero why` neither.
    await api.resources.create(SecretKind, aSecret(backup));
    await expect.poll(() => readyz(running), { timeout: 20_000 }).not.toContain('but: the Secret');
    const events = await api.resources.list(EventKind, { namespace: 'default' }, { live: true });
    const told = events.filter(({ reason }) => reason === 'SideroLink Secret').map(({ type }) => type);
    expect(told).toEqual(['Warning', 'Normal']);
  }, 60_000);

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
