import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Condition,
  conditionOf,
  definePlugin,
  EnvironmentKind,
  markTrue,
  SecretKind,
  ServerBindingKind,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { MetalMachineKind } from '@sidero/plugin-caps';
import { aBinding, aBootRequest, anEnvironment, aServer, aServerClass, FIXTURE_UUID, type TestSidero } from '@sidero/testing';
import { describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { sideroProgram } from '../../core/src/bin/program.ts';
import { aBoundMachine, ask, BOOTSTRAP, bootstrapSecret, boundServer, configPathOf, MACHINE, theEnvironment } from './configdata/bound-machine.ts';

const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 15_000, interval: 20 });
const server = { name: FIXTURE_UUID };

/** A condition of the MetalMachine in both forms that Cluster API reads. */
async function told({ resources }: TestSidero, type: string) {
  const status = (await resources.get(MetalMachineKind, MACHINE, { live: true }))?.status;
  return { before: conditionOf(status?.conditions, type), newer: status?.v1beta2?.conditions?.find((condition) => condition.type === type) };
}

async function expectTold(sidero: TestSidero, type: string, wanted: Pick<Condition, 'reason'> & { readonly message: RegExp }): Promise<void> {
  const message = expect.stringMatching(wanted.message) as string;
  await until(async () => {
    const { before, newer } = await told(sidero, type);
    expect(before).toMatchObject({ status: 'False', reason: wanted.reason, message });
    expect(newer).toMatchObject({ status: 'False', reason: wanted.reason, message });
    // Cluster API takes it over to the Machine.
    expect((await told(sidero, 'Ready')).before).toMatchObject({ status: 'False', reason: wanted.reason, message });
    expect(JSON.stringify([before, newer])).not.toMatch(/hunter2|swordfish/);
  });
}

async function expectOver(sidero: TestSidero, type: string): Promise<void> {
  await until(async () => expect(await told(sidero, type)).toEqual({ before: undefined, newer: undefined }));
  expect((await told(sidero, 'Ready')).before?.status).toBe('True');
}

const bindingNow = async ({ resources }: TestSidero) => (await resources.get(ServerBindingKind, server, { live: true }))!;
/** The MetalMachine says that it has its server, and nobody has anything more to write. */
const isRecorded = (sidero: TestSidero) =>
  until(async () => {
    expect((await told(sidero, 'Ready')).before?.status).toBe('True');
    expect((await bindingNow(sidero)).status?.ready).toBe(true);
  });
/** What a change of an object does to configurations shows in the answers of a replica once its watch has it. */
const isAnswered = (url: string, status: number) => until(async () => expect((await ask(url)).status).toBe(status));

interface ConfigTrouble {
  readonly what: string;
  readonly breakIt: (sidero: TestSidero) => Promise<unknown>;
  readonly mendIt: (sidero: TestSidero) => Promise<unknown>;
  readonly status: number;
  readonly reason: string;
  readonly message: RegExp;
}

const setSecret = ({ resources }: TestSidero, data: Record<string, string>) =>
  resources.change(SecretKind, BOOTSTRAP, (draft) => void (draft.data = data));
const setConfig = (sidero: TestSidero, config: string) => setSecret(sidero, { value: Buffer.from(config).toString('base64') });
const mendSecret = (sidero: TestSidero) => setSecret(sidero, bootstrapSecret().data);
const patch = ({ resources }: TestSidero, path: string) =>
  resources.change(ServerKind, server, (draft) => void (draft.spec!.configPatches = [{ op: 'replace', path, value: 'swordfish' }]));

const CONFIG_TROUBLES: readonly ConfigTrouble[] = [
  {
    what: 'a patch does not fit',
    breakIt: (sidero) => patch(sidero, '/machine/nope'),
    mendIt: (sidero) => patch(sidero, '/machine/token'),
    status: 500,
    reason: 'PatchFailed',
    message: /^configPatches of Server .* does not fit .*\/machine\/nope.* Next: correct configPatches of Server /,
  },
  {
    what: 'the Secret has no value',
    breakIt: (sidero) => setSecret(sidero, { other: '' }),
    mendIt: mendSecret,
    status: 404,
    reason: 'BootstrapDataMissing',
    message: /value key not found in bootstrap data: default\/boot\. Next: put the Talos configuration into Secret default\/boot/,
  },
  {
    what: 'the Secret is gone',
    breakIt: ({ resources }) => resources.remove(SecretKind, BOOTSTRAP),
    mendIt: ({ resources }) => resources.create(SecretKind, bootstrapSecret()),
    status: 404,
    reason: 'BootstrapSecretMissing',
    message: /bootstrap secret default\/boot not found\. Next: the bootstrap provider makes it/,
  },
  {
    what: 'the configuration is a YAML bomb',
    breakIt: (sidero) => setConfig(sidero, `machine: {token: hunter2, x: [${'a,'.repeat(140_000)}]}`),
    mendIt: mendSecret,
    status: 500,
    reason: 'ConfigInvalid',
    message: /^the bootstrap data cannot be read: it has more than 50000 values.* Next: correct the bootstrap data/,
  },
  {
    what: 'its patches make it larger than any may be',
    breakIt: async (sidero) => {
      await setConfig(sidero, `machine: {token: hunter2, x: ${'x'.repeat(1_000_000)}}`);
      await sidero.resources.change(ServerKind, server, (draft) => {
        draft.spec!.configPatches = Array.from({ length: 5 }, (_, index) => ({ op: 'copy', from: '/machine', path: `/machine/x${index}` }));
      });
    },
    mendIt: mendSecret,
    status: 500,
    reason: 'PatchFailed',
    message: /^configPatches of Server .* makes the configuration too large.* Next: correct configPatches of Server/,
  },
  {
    what: 'the class it was bound through is gone',
    breakIt: ({ resources }) =>
      resources.change(ServerBindingKind, server, (draft) => void (draft.spec!.serverClassRef = { kind: 'ServerClass', name: 'large' })),
    mendIt: ({ resources }) => resources.create(ServerClassKind, aServerClass({ metadata: { name: 'large' } })),
    status: 500,
    reason: 'ServerClassMissing',
    message: /serverclasses.metal.sidero.dev "large" not found\. Next: make ServerClass large again/,
  },
];

describe('a machine that cannot be given its configuration has condition TalosConfigServed, until it is given it', () => {
  test.each(CONFIG_TROUBLES)('$what', async ({ breakIt, mendIt, status, reason, message }) => {
    await using sidero = await aBoundMachine();
    await isRecorded(sidero);
    const url = `${sidero.url}${await configPathOf(sidero)}`;
    await breakIt(sidero);
    await isAnswered(url, status);
    await expectTold(sidero, 'TalosConfigServed', { reason, message });
    // It asks every second: what is known is not written again.
    const { metadata } = await bindingNow(sidero);
    for (let count = 0; count < 3; count++) expect((await ask(url)).status).toBe(status);
    expect((await bindingNow(sidero)).metadata.resourceVersion).toBe(metadata.resourceVersion);
    await mendIt(sidero);
    await isAnswered(url, 200);
    await expectOver(sidero, 'TalosConfigServed');
  });

  test('a plugin fails', async () => {
    let isReady = false;
    const slow = definePlugin({
      name: 'slow',
      options: z.strictObject({}),
      setup: ({ hooks }) => hooks.bind.tapPromise('slow', (identity) => (isReady ? Promise.resolve(identity) : Promise.reject(new Error('hunter2')))),
    });
    await using sidero = await aBoundMachine({ plugins: [slow()] });
    await isRecorded(sidero);
    const url = `${sidero.url}${await configPathOf(sidero)}`;
    expect((await ask(url)).status).toBe(503);
    await expectTold(sidero, 'TalosConfigServed', { reason: 'PluginFailed', message: /plugin "slow" cannot say now .* Next: the log of sidero/ });
    isReady = true;
    expect((await ask(url)).status).toBe(200);
    await expectOver(sidero, 'TalosConfigServed');
  });

  test('nobody without a token makes a condition, nor does a question by HEAD', async () => {
    const binding = aBinding({ metadata: { annotations: { 'metal.sidero.dev/boot-token': 'given' } } });
    await using sidero = await aBoundMachine({ objects: [boundServer(), theEnvironment(), binding] });
    await isRecorded(sidero);
    await patch(sidero, '/machine/nope');
    const url = `${sidero.url}${await configPathOf(sidero)}`;
    expect((await ask(`${sidero.url}/configdata?uuid=${FIXTURE_UUID}`)).status).toBe(401);
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(500);
    expect((await bindingNow(sidero)).status?.conditions ?? []).toEqual([]);
  });

  test('a machine that is given it has no such condition, and costs no write for it', async () => {
    await using sidero = await aBoundMachine();
    await isRecorded(sidero);
    const url = `${sidero.url}${await configPathOf(sidero)}`;
    expect((await ask(url)).status).toBe(200);
    const { metadata, status } = await bindingNow(sidero);
    expect((await ask(url)).status).toBe(200);
    expect(status?.conditions ?? []).toEqual([]);
    expect((await bindingNow(sidero)).metadata.resourceVersion).toBe(metadata.resourceVersion);
  });
});

describe('a machine that cannot boot has condition NetworkBootReady, until it is told what to boot', () => {
  const boot = (sidero: TestSidero) => sidero.lifecycle.boot(aBootRequest());
  const bootsInto = (sidero: TestSidero, plan: object) => until(async () => expect(await boot(sidero)).toMatchObject(plan));
  const unknown = () => aServer({ spec: { environmentRef: { name: 'absent' } }, status: { isClean: false } });

  test('its Environment does not exist', async () => {
    await using sidero = await aBoundMachine({ objects: [unknown(), aBinding()] });
    await isRecorded(sidero);
    await boot(sidero);
    const message = /^It cannot boot: environment "absent" does not exist\. Next: make Environment absent, or correct spec.environmentRef of Server /;
    await expectTold(sidero, 'NetworkBootReady', { reason: 'EnvironmentMissing', message });
    const { metadata } = await bindingNow(sidero);
    for (let count = 0; count < 3; count++) expect(await boot(sidero)).toMatchObject({ target: 'wait', status: 404 });
    expect((await bindingNow(sidero)).metadata.resourceVersion).toBe(metadata.resourceVersion);
    expect(await why(sidero)).toMatch(/NetworkBootReady is False since .*, EnvironmentMissing: It cannot boot: environment "absent" does not exist/);

    const { spec } = theEnvironment();
    await sidero.resources.create(EnvironmentKind, { ...theEnvironment(), metadata: { name: 'absent' }, spec: { ...spec } });
    await bootsInto(sidero, { target: 'environment' });
    await expectOver(sidero, 'NetworkBootReady');
    // It is news again.
    await sidero.resources.remove(EnvironmentKind, { name: 'absent' });
    await bootsInto(sidero, { target: 'wait', status: 404 });
    await expectTold(sidero, 'NetworkBootReady', { reason: 'EnvironmentMissing', message });
  }, 60_000);

  test('its class is gone', async () => {
    const binding = aBinding({ spec: { serverClassRef: { kind: 'ServerClass', name: 'large' } } });
    await using sidero = await aBoundMachine({ objects: [aServer({ status: { isClean: false } }), binding] });
    await isRecorded(sidero);
    await boot(sidero);
    await expectTold(sidero, 'NetworkBootReady', { reason: 'ServerClassMissing', message: /Next: make ServerClass large again/ });
  });

  test('an argument of its Environment cannot stand in a boot script', async () => {
    await using sidero = await aBoundMachine({ objects: [boundServer(), theEnvironment(['a\nboot']), aBinding()] });
    await isRecorded(sidero);
    await boot(sidero);
    await expectTold(sidero, 'NetworkBootReady', {
      reason: 'EnvironmentInvalid',
      message: /control character\. Next: kubectl describe environment site/,
    });
  });

  const notReady = /^It cannot boot: environment "absent" is not ready: .* Next: kubectl describe environment absent/;
  const beingFetched = () =>
    anEnvironment({ metadata: { name: 'absent' }, spec: { kernel: { url: 'http://127.0.0.1:1/vmlinuz' } }, status: { conditions: [] } });

  test('the files of its Environment are not fetched yet: only once that takes long', async () => {
    await using sidero = await aBoundMachine({ objects: [unknown(), beingFetched(), aBinding()] });
    await isRecorded(sidero);
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      expect(await boot(sidero)).toMatchObject({ target: 'wait', status: 412 });
      expect((await bindingNow(sidero)).status?.conditions ?? []).toEqual([]);
      vi.setSystemTime(Date.now() + 6 * 60_000);
      await boot(sidero);
      await expectTold(sidero, 'NetworkBootReady', { reason: 'EnvironmentNotReady', message: notReady });
    } finally {
      vi.useRealTimers();
    }
  });

  test('that its Environment was missing is over once that is there', async () => {
    await using sidero = await aBoundMachine({ objects: [unknown(), aBinding()] });
    await isRecorded(sidero);
    await boot(sidero);
    await expectTold(sidero, 'NetworkBootReady', { reason: 'EnvironmentMissing', message: /does not exist/ });
    await sidero.resources.create(EnvironmentKind, beingFetched());
    await bootsInto(sidero, { target: 'wait', status: 412 });
    await expectTold(sidero, 'NetworkBootReady', { reason: 'EnvironmentNotReady', message: notReady });
  });

  test('of a machine that boots from its disk nothing is told any more', async () => {
    await using sidero = await aBoundMachine();
    await isRecorded(sidero);
    const url = `${sidero.url}${await configPathOf(sidero)}`;
    await patch(sidero, '/machine/nope');
    await isAnswered(url, 500);
    await expectTold(sidero, 'TalosConfigServed', { reason: 'PatchFailed', message: /nope/ });
    await sidero.resources.change(ServerBindingKind, server, (draft) => {
      draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
    });
    await bootsInto(sidero, { target: 'disk' });
    await expectOver(sidero, 'TalosConfigServed');
  });

  test('only something looks: nothing is noted; and a machine that boots costs no write for it', async () => {
    await using sidero = await aBoundMachine({ objects: [unknown(), aBinding()] });
    await isRecorded(sidero);
    expect(await sidero.lifecycle.boot(aBootRequest({ peek: true }))).toMatchObject({ target: 'wait', status: 404 });
    expect((await bindingNow(sidero)).status?.conditions ?? []).toEqual([]);
    await using healthy = await aBoundMachine();
    await isRecorded(healthy);
    const { metadata } = await bindingNow(healthy);
    for (let count = 0; count < 3; count++) expect(await boot(healthy)).toMatchObject({ target: 'environment' });
    expect((await bindingNow(healthy)).metadata.resourceVersion).toBe(metadata.resourceVersion);
  });
});

async function why(sidero: TestSidero): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sidero-trouble-'));
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, sidero.kubeConfig.exportConfig(), { mode: 0o600 });
    await sideroProgram().parseAsync(['why', FIXTURE_UUID, '--kubeconfig', kubeconfig], { from: 'user' });
    return written.mock.calls.map(([line]) => String(line)).join('');
  } finally {
    written.mockRestore();
    await rm(folder, { recursive: true });
  }
}
