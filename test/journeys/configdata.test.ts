import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkConfig, definePlugin, type KubeEvent, SecretKind, ServerBindingKind, ServerClassKind, ServerKind } from '@sidero/core';
import { startSidero } from '@sidero/core/start';
import { caps, MetalMachineKind } from '@sidero/plugin-caps';
import {
  aBinding,
  aBootRequest,
  anEnvironment,
  aServer,
  aServerClass,
  FIXTURE_UUID,
  silentLogger,
  type TestSidero,
  testSidero,
} from '@sidero/testing';
import { load } from 'js-yaml';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import {
  aBoundMachine,
  ask,
  BOOTSTRAP,
  boundServer,
  configPathOf,
  createMachine,
  MACHINE,
  MachineKind,
  theEnvironment,
  withoutMachines,
} from './configdata/bound-machine.ts';

const bare = `/configdata?uuid=${FIXTURE_UUID}`;
const KEY = { namespace: 'default', name: 'sidero-boot' };
const EventKind = { apiVersion: 'v1', kind: 'Event', plural: 'events', namespaced: true } as const;

const configUrlOf = async (sidero: TestSidero) => `${sidero.url}${await configPathOf(sidero)}`;

/** What people were told: `Server: message (n times)`. */
async function news({ resources }: TestSidero): Promise<readonly string[]> {
  const events = (await resources.list(EventKind, { namespace: 'default' }, { live: true })) as unknown as readonly KubeEvent[];
  const about = events.filter(({ reason }) => reason === 'Machine Config');
  return about.map(({ involvedObject, message, count }) => `${involvedObject.kind}: ${message} (${count} times)`).toSorted();
}

/** Talos has told that it runs with its configuration. */
async function tellLoaded({ resources }: TestSidero): Promise<void> {
  await resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
    const lastTransitionTime = new Date().toISOString();
    draft.status = { ...draft.status, conditions: [{ type: 'TalosConfigLoaded', status: 'True', lastTransitionTime }] };
  });
}

/** From then on every request comes from another address. */
async function takenElsewhere({ resources }: TestSidero): Promise<void> {
  await resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
    draft.metadata.annotations = { ...draft.metadata.annotations, 'metal.sidero.dev/config-taken': '10.9.9.9 2026-01-01T00:00:00.000Z' };
  });
}

test('a bound machine gets its configuration with the address it boots from', async () => {
  await using sidero = await aBoundMachine();
  const { status, body } = await ask(await configUrlOf(sidero));
  expect(status).toBe(200);
  expect(load(body)).toEqual({
    version: 'v1alpha1',
    machine: { type: 'controlplane', token: 'hunter2', kubelet: { extraArgs: { 'node-labels': `metal.sidero.dev/uuid=${FIXTURE_UUID}` } } },
  });
});

test('what changes a configuration shows in the next answer', async () => {
  await using sidero = await aBoundMachine();
  const url = await configUrlOf(sidero);
  await ask(url);
  await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
    draft.spec!.strategicPatches = ['machine: {install: {disk: /dev/vda}}'];
  });
  expect(load((await ask(url)).body)).toMatchObject({ machine: { install: { disk: '/dev/vda' } } });
  await sidero.resources.change(SecretKind, BOOTSTRAP, (draft) => {
    draft.data = { value: Buffer.from('version: v1alpha1\nmachine: {token: changed}\n').toString('base64') };
  });
  expect(load((await ask(url)).body)).toMatchObject({ machine: { token: 'changed' } });
});

test('a patch that copies from another place works over the API', async () => {
  await using sidero = await aBoundMachine();
  await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
    draft.spec!.configPatches = [{ op: 'copy', from: '/machine/type', path: '/machine/kind' }];
  });
  expect(load((await ask(await configUrlOf(sidero))).body)).toMatchObject({ machine: { type: 'controlplane', kind: 'controlplane' } });
});

describe('who may have it', () => {
  test('a machine that proved itself once must do so from then on; a guess is refused and told', async () => {
    await using sidero = await aBoundMachine();
    const own = await configUrlOf(sidero);
    // A binding of the original: its machine has no token yet.
    expect((await ask(`${sidero.url}${bare}`)).status).toBe(200);
    expect((await ask(own)).status).toBe(200);
    await expect.poll(async () => (await ask(`${sidero.url}${bare}`)).status).toBe(401);
    const guess = await ask(`${sidero.url}${bare}&token=${'A'.repeat(43)}`);
    expect(guess.status).toBe(403);
    expect(guess.body).not.toContain('hunter2');
    expect((await news(sidero)).join('\n')).toContain('its token is not the one of this machine');
  });

  test('a machine whose ServerBinding we made must prove itself from the first time on', async () => {
    await using sidero = await withoutMachines({ objects: [aServer({ spec: { environmentRef: { name: 'site' } } }), theEnvironment()] });
    await createMachine(sidero);
    await sidero.lifecycle.allocate({ ...MACHINE, server: FIXTURE_UUID, annotations: { 'metal.sidero.dev/boot-token': 'given' } });
    // Whoever knows its UUID, before the machine itself has asked.
    expect((await ask(`${sidero.url}${bare}`)).status).toBe(401);
    expect((await ask(await configUrlOf(sidero))).status).toBe(200);
  });

  test('who guesses on is asked to wait; the machine itself never is', async () => {
    await using sidero = await aBoundMachine();
    const guess = `${sidero.url}${bare}&token=${'A'.repeat(43)}`;
    const startedMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(guess)));
    // Twenty at once, and one every five seconds.
    const most = 20 + Math.ceil((performance.now() - startedMs) / 5000);
    const refused = answers.filter(({ status }) => status === 403).length;
    expect([refused >= 20, refused <= most]).toEqual([true, true]);
    expect(answers.filter(({ status, retryAfter }) => status === 429 && retryAfter === '5')).toHaveLength(30 - refused);
    expect((await ask(await configUrlOf(sidero))).status).toBe(200);
  });

  test('an Environment with talos.config= of its own is left as it is, and its machines need no token', async () => {
    const environment = theEnvironment(['talos.config=http://x/configdata?uuid=']);
    await using sidero = await aBoundMachine({ objects: [boundServer(), environment, aBinding()] });
    const plan = await sidero.lifecycle.boot(aBootRequest());
    expect('args' in plan && plan.args).toEqual(['talos.config=http://x/configdata?uuid=']);
    expect((await ask(`${sidero.url}${bare}`)).status).toBe(200);
  });

  test.each([
    ['report', ['MetalMachine', 'Server']],
    ['off', []],
  ] as const)('bootAuth: %s gives it without a token; told on %j', async (bootAuth, told) => {
    await using sidero = await aBoundMachine({ site: { bootAuth } });
    await ask(await configUrlOf(sidero));
    const stranger = () => ask(`${sidero.url}${bare}&token=${'A'.repeat(43)}`);
    await stranger();
    expect((await stranger()).status).toBe(200);
    const events = (await news(sidero)).filter((text) => text.includes('bootAuth is "report"'));
    expect(events.map((text) => text.split(':')[0])).toEqual(told);
  });

  test('a second taker is told, and refused once Talos runs with the configuration', async () => {
    await using sidero = await aBoundMachine();
    const url = await configUrlOf(sidero);
    await ask(url);
    await takenElsewhere(sidero);
    expect((await ask(url)).status).toBe(200);
    expect((await news(sidero)).join('\n')).toContain('ServerBinding: Its configuration, taken by 10.9.9.9');
    await takenElsewhere(sidero);
    await tellLoaded(sidero);
    const second = await ask(url);
    expect(second).toMatchObject({ status: 403, body: expect.stringContaining('was taken by 10.9.9.9') as string });
  });

  test('with bootAuth: report a second taker is told only', async () => {
    await using sidero = await aBoundMachine({ site: { bootAuth: 'report' } });
    const url = await configUrlOf(sidero);
    await takenElsewhere(sidero);
    await tellLoaded(sidero);
    expect((await ask(url)).status).toBe(200);
    expect((await news(sidero)).join('\n')).toContain('was taken by 10.9.9.9');
  });

  test('the machine itself may have it again after a reinstallation from an address that is known to be its own', async () => {
    await using sidero = await aBoundMachine();
    const url = await configUrlOf(sidero);
    await takenElsewhere(sidero);
    await tellLoaded(sidero);
    await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
      draft.status = { ...draft.status, addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] };
    });
    expect((await ask(url)).status).toBe(200);
  });
});

describe('a machine without SideroLink', () => {
  const boot = (sidero: TestSidero) => sidero.lifecycle.boot(aBootRequest());
  const installedFrom = async (sidero: TestSidero): Promise<TestSidero> => {
    expect((await ask(await configUrlOf(sidero))).status).toBe(200);
    return sidero;
  };

  test('boots from its disk once it has taken its configuration, and people are told why', async () => {
    await using sidero = await aBoundMachine();
    expect(await boot(sidero)).toMatchObject({ target: 'environment' });
    expect(await boot(sidero)).toMatchObject({ target: 'environment' });
    await installedFrom(sidero);
    await expect.poll(() => boot(sidero)).toMatchObject({ target: 'disk' });
    const events = (await sidero.resources.list(EventKind, { namespace: 'default' }, { live: true })) as unknown as readonly KubeEvent[];
    const told = events.filter(({ reason }) => reason === 'Machine Boot');
    expect(new Set(told.map(({ involvedObject }) => involvedObject.kind))).toEqual(new Set(['MetalMachine', 'Server']));
    expect(told[0]?.message).toMatch(/counts as installed: it took its configuration at .*spec.pxeBootAlways/);
  });

  test('boots from the network for ever where its Server says so', async () => {
    await using sidero = await aBoundMachine();
    await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => void (draft.spec!.pxeBootAlways = true));
    await installedFrom(sidero);
    expect(await boot(sidero)).toMatchObject({ target: 'environment' });
    expect((await sidero.resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true }))?.status?.conditions ?? []).toEqual([]);
  });

  const joins = { 'siderolink.api= in its Environment': 'args', 'a join token on its ServerBinding': 'annotation', 'a key': 'key' } as const;
  test.each(Object.entries(joins))('is not one with %s: until Talos tells that it is installed, it boots from the network', async (_, how) => {
    const environment = theEnvironment(how === 'args' ? ['siderolink.api=10.0.0.1:8081'] : []);
    await using sidero = await aBoundMachine({ objects: [boundServer(), environment, aBinding()] });
    await sidero.resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
      if (how === 'annotation') draft.metadata.annotations = { ...draft.metadata.annotations, 'metal.sidero.dev/siderolink-token': 'given' };
      if (how === 'key') draft.spec!.siderolink = { address: 'fd00::1/64', publicKey: 'k' };
    });
    await installedFrom(sidero);
    expect(await boot(sidero)).toMatchObject({ target: 'environment' });
  });

  test('is one whose Talos is older than 0.14, whatever its arguments say', async () => {
    const files = createServer((_, response) => void response.end('a kernel')).listen(0, '127.0.0.1');
    try {
      await once(files, 'listening');
      const url = `http://127.0.0.1:${(files.address() as AddressInfo).port}/talos/v0.13.4/vmlinuz-amd64`;
      const spec = { kernel: { url, args: ['siderolink.api=10.0.0.1:8081'] }, initrd: { url } };
      const objects = [boundServer(), anEnvironment({ metadata: { name: 'site' }, spec }), aBinding()];
      await using sidero = await aBoundMachine({ objects, variables: { SIDERO_FETCH_ENVIRONMENTS: 'true' } });
      await expect.poll(() => boot(sidero)).toMatchObject({ target: 'environment' });
      await installedFrom(sidero);
      await expect.poll(() => boot(sidero)).toMatchObject({ target: 'disk' });
    } finally {
      files.close();
    }
  });
});

describe('a token holds as long as the binding', () => {
  test('a year later', async () => {
    let now = new Date('2026-01-01T00:00:00Z');
    await using sidero = await aBoundMachine({ now: () => now });
    const url = await configUrlOf(sidero);
    now = new Date('2027-01-01T00:00:00Z');
    expect((await ask(url)).status).toBe(200);
  });

  test('on every replica, and after a restart', async () => {
    await using first = await aBoundMachine();
    const path = await configPathOf(first);
    expect((await ask(`${first.url}${path}`)).status).toBe(200);
    const dataDir = await mkdtemp(join(tmpdir(), 'config-replica-'));
    try {
      await using second = await startBeside(first, dataDir);
      await expect.poll(async () => (await ask(`http://127.0.0.1:${second.port}${path}`)).status).toBe(200);
      // What the first one has noted counts there, too.
      expect((await ask(`http://127.0.0.1:${second.port}${bare}`)).status).toBe(401);
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  test('over a move to another cluster, whose own key gives way', async () => {
    await using from = await aBoundMachine();
    const path = await configPathOf(from);
    const moved = await from.resources.get(SecretKind, KEY, { live: true });
    await using to = await aBoundMachine();
    expect(await configPathOf(to)).not.toBe(path);
    await to.resources.change(SecretKind, KEY, (draft) => {
      draft.data = { ...moved!.data };
    });
    await expect.poll(async () => (await ask(`${to.url}${path}`)).status, { interval: 200 }).toBe(200);
  });

  test('of that MetalMachine, and no longer', async () => {
    await using sidero = await aBoundMachine();
    const path = await configPathOf(sidero);
    await ask(`${sidero.url}${path}`);
    await sidero.resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
      draft.spec!.metalMachineRef = { kind: 'MetalMachine', namespace: 'default', name: 'another' };
    });
    expect((await ask(`${sidero.url}${path}`)).status).toBe(403);
  });
});

/** Another replica on the same API; its own processes' port is free-picked. */
async function startBeside(first: TestSidero, dataDir: string) {
  const kubeconfig = join(dataDir, 'kubeconfig');
  await writeFile(kubeconfig, first.kubeConfig.exportConfig(), { mode: 0o600 });
  const options = { endpoint: '127.0.0.1', httpPort: 0, dataDir, healthAddress: 'off', diagnosticsAddress: 'off', leaderElection: false } as const;
  const config = checkConfig({ ...options, plugins: [caps()] }, { file: 'replica', variables: {} });
  const running = await startSidero({ config, kubeconfig, log: silentLogger(), variables: {}, host: '127.0.0.1' });
  return { port: running.port, [Symbol.asyncDispose]: () => running.close() };
}

describe('what goes wrong is told once a cause, without a secret', () => {
  test('a patch that does not fit, on Server and MetalMachine', async () => {
    await using sidero = await aBoundMachine();
    await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
      draft.spec!.configPatches = [{ op: 'replace', path: '/machine/nope', value: 'swordfish' }];
    });
    const url = await configUrlOf(sidero);
    const { status, body } = await ask(url);
    await ask(url);
    expect(status).toBe(500);
    expect(body).toContain('SIDERO_MACHINE_CONFIG_PATCH_FAILED: configPatches of Server');
    expect(body).not.toMatch(/swordfish|hunter2/);
    expect(await news(sidero)).toEqual([
      expect.stringMatching(/^MetalMachine: configPatches of Server .* Next: correct configPatches of Server .* \(1 times\)$/) as string,
      expect.stringMatching(/^Server: configPatches of Server .* \(1 times\)$/) as string,
    ]);
  });

  test('a Secret without its value', async () => {
    await using sidero = await aBoundMachine();
    const url = await configUrlOf(sidero);
    await sidero.resources.change(SecretKind, BOOTSTRAP, (draft) => {
      draft.data = { other: '' };
    });
    expect(await ask(url)).toMatchObject({ status: 404, body: 'value key not found in bootstrap data: default/boot\n' });
    await ask(url);
    const told = (await news(sidero)).filter((text) => text.includes('value key not found'));
    expect(told).toEqual(
      ['MetalMachine', 'Server'].map(
        (kind) => expect.stringMatching(new RegExp(`^${kind}: .* Next: put the Talos configuration into Secret default/boot`)) as string,
      ),
    );
  });

  test('a YAML bomb, which costs no more time however often its machine asks', async () => {
    await using sidero = await aBoundMachine();
    const url = await configUrlOf(sidero);
    const bomb = `machine: {x: [${'a,'.repeat(140_000)}]}`;
    await sidero.resources.change(SecretKind, BOOTSTRAP, (draft) => void (draft.data = { value: Buffer.from(bomb).toString('base64') }));
    // What others do on this host is not counted.
    const processorTime = async (times: number) => {
      const before = process.cpuUsage();
      for (let count = 0; count < times; count++)
        expect(await ask(url)).toMatchObject({ status: 500, body: expect.stringContaining('more than 50000 values') as string });
      return process.cpuUsage(before).user;
    };
    const once = await processorTime(1);
    // Each would hold up all others as long as the first.
    expect(await processorTime(40)).toBeLessThan(10 * once);
    expect(await news(sidero)).toEqual([
      expect.stringMatching(/^MetalMachine: the bootstrap data cannot be read: it has more than 50000 values.* \(1 times\)$/) as string,
      expect.stringMatching(/^Server: the bootstrap data cannot be read/) as string,
    ]);
  });

  test('a plugin that is not ready: the machine is asked to wait, and told which one', async () => {
    let isReady = false;
    const slow = definePlugin({
      name: 'slow',
      options: z.strictObject({}),
      setup: ({ hooks }) =>
        hooks.bind.tapPromise('slow', async (identity) => {
          if (isReady) return identity;
          throw new Error('hunter3');
        }),
    });
    await using sidero = await aBoundMachine({ plugins: [slow()] });
    const url = await configUrlOf(sidero);
    const answer = await ask(url);
    expect(answer).toMatchObject({ status: 503, retryAfter: '5', body: expect.stringContaining('plugin "slow" cannot say now') as string });
    expect(`${answer.body}${(await news(sidero)).join()}`).not.toContain('hunter3');
    isReady = true;
    expect((await ask(url)).status).toBe(200);
  });
});

describe('a link of the chain that is missing is named', () => {
  test.each([
    ['?uuid=', 400, 'received metadata request with empty uuid\n'],
    ['', 400, 'received metadata request with empty uuid\n'],
    ['?uuid=nobody', 404, 'server is not allocated (missing serverbinding): serverbindings.infrastructure.cluster.x-k8s.io "nobody" not found\n'],
  ])('%s is answered with %s', async (query, status, body) => {
    await using sidero = await testSidero({ plugins: [caps()] });
    expect(await ask(`${sidero.url}/configdata${query}`)).toMatchObject({ status, body });
  });

  const machine = `${MACHINE.namespace}/${MACHINE.name}`;
  const cases: readonly { what: string; breakIt: (sidero: TestSidero) => Promise<unknown>; answer: { status: number; body: string } }[] = [
    {
      what: 'the name of the Secret',
      breakIt: ({ resources }) => resources.change(MachineKind, MACHINE, (draft) => void Object.assign(draft, { spec: {} })),
      answer: { status: 404, body: `no dataSecretName present for machine ${machine}\n` },
    },
    {
      what: 'the Secret',
      breakIt: ({ resources }) => resources.remove(SecretKind, BOOTSTRAP),
      answer: { status: 404, body: 'bootstrap secret default/boot not found\n' },
    },
    {
      what: 'the ServerClass',
      breakIt: ({ resources }) =>
        resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
          draft.spec!.serverClassRef = { kind: 'ServerClass', name: 'gone' };
        }),
      answer: { status: 500, body: 'failure fetching serverclass gone: serverclasses.metal.sidero.dev "gone" not found\n' },
    },
    {
      what: 'the owner',
      breakIt: ({ resources }) => resources.change(MetalMachineKind, MACHINE, (draft) => void delete draft.metadata.ownerReferences),
      answer: { status: 404, body: `failure fetching owner machine from metal machine ${machine}: it has no owner of kind Machine\n` },
    },
  ];
  test.each(cases)('$what', async ({ breakIt, answer }) => {
    await using sidero = await aBoundMachine();
    const url = await configUrlOf(sidero);
    await breakIt(sidero);
    await expect.poll(() => ask(url)).toMatchObject(answer);
  });
});

test('the patches of the class it was bound through come before those of the Server', async () => {
  const binding = aBinding({ spec: { serverClassRef: { kind: 'ServerClass', name: 'large' } } });
  await using sidero = await aBoundMachine({ objects: [boundServer(), theEnvironment(), binding] });
  await sidero.resources.create(ServerClassKind, aServerClass({ spec: { strategicPatches: ['machine: {token: class, x: class}'] } }));
  await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
    draft.spec!.strategicPatches = ['machine: {token: server}'];
  });
  expect(load((await ask(await configUrlOf(sidero))).body)).toMatchObject({ machine: { token: 'server', x: 'class' } });
});
