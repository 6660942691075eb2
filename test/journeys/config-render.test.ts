import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { definePlugin, type Secret, SecretKind, ServerClassKind, ServerKind } from '@sidero/core';
import { MetalMachineKind } from '@sidero/plugin-caps';
import { aServer, aServerClass, FIXTURE_UUID, type TestSidero } from '@sidero/testing';
import { load, loadAll } from 'js-yaml';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { renderFor } from '../../plugins/caps/src/configdata/render-command.ts';
import { clusterApiKinds } from '../../plugins/caps/src/kinds.ts';
import { aBoundMachine, BOOTSTRAP, createMachine, MACHINE, withoutMachines } from './configdata/bound-machine.ts';

// `sidero config render`: the configuration before any boot.

const program = fileURLToPath(new URL('../../core/bin/sidero.js', import.meta.url));
const name = `${MACHINE.namespace}/${MACHINE.name}`;
const label = { kubelet: { extraArgs: { 'node-labels': `metal.sidero.dev/uuid=${FIXTURE_UUID}` } } };

// The one of the original's documentation.
const SIDEROLINK: Secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { namespace: 'default', name: 'siderolink' },
  data: {
    'installation-id': 'QUtmZGFmVGJtUGVFcWp0RGMzT1BHSzlGcmlHTzdDQ0JCSU9aRzRSamdtWT0=',
    'private-key': 'ME05bHhBd3JwV0hDczhNbm1aR3RDL1ZjK0ZSUFM5UzQwd25IU00wQ3dHOD0=',
  },
};

const render = ({ resources, running }: TestSidero, given: { explain?: boolean; server?: string; name?: string } = {}) =>
  renderFor({ resources, lifecycle: running.kernel.lifecycle }, clusterApiKinds('v1beta1'), { name, ...given });

test('the program prints what is served to stdout, and for which server to stderr', { timeout: 120_000 }, async () => {
  await using sidero = await aBoundMachine();
  const folder = await mkdtemp(join(tmpdir(), 'sidero-render-'));
  try {
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, sidero.kubeConfig.exportConfig(), { mode: 0o600 });
    const args = ['--conditions=source', program, 'config', 'render', name, '--kubeconfig', kubeconfig];
    // The running example has SideroLink, whose addresses are those of the installation.
    await sidero.resources.create(SecretKind, SIDEROLINK);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    const [config, ...documents] = loadAll(stdout);
    expect(config).toEqual({ version: 'v1alpha1', machine: { type: 'controlplane', token: 'hunter2', ...label } });
    expect(documents).toEqual([
      {
        apiVersion: 'v1alpha1',
        kind: 'SideroLinkConfig',
        apiUrl: expect.stringMatching(/^grpc:\/\/127\.0\.0\.1:8081\?jointoken=[\w-]{43}$/) as string,
      },
      { apiVersion: 'v1alpha1', kind: 'EventSinkConfig', endpoint: '[fdae:2859:5bb1:7a03::1]:4002' },
      { apiVersion: 'v1alpha1', kind: 'KmsgLogConfig', name: 'remote-log', url: 'tcp://[fdae:2859:5bb1:7a03::1]:4001' },
    ]);
    expect(stderr).toBe(`MetalMachine ${name} on server ${FIXTURE_UUID}: it is bound to it\n`);
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe('before a server is bound, which has to be wiped first', () => {
  let sidero: TestSidero;
  beforeEach(async () => {
    sidero = await withoutMachines({ objects: [aServer({ status: { isClean: false } })] });
  });
  afterEach(() => sidero.close());

  test('it is made for the server that is asked for', async () => {
    await createMachine(sidero);
    expect((await render(sidero)).note).toContain(`server ${FIXTURE_UUID}: it asks for it by serverRef`);
  });

  test('it is made for any member of the class, with the patches of the class', async () => {
    await sidero.resources.create(ServerClassKind, aServerClass({ spec: { strategicPatches: ['machine: {install: {disk: /dev/vda}}'] } }));
    await createMachine(sidero, { serverClassRef: { kind: 'ServerClass', name: 'large' } });
    const { text, note } = await render(sidero);
    expect(note).toContain('any member of ServerClass large will do; it is not bound yet');
    expect(load(text)).toMatchObject({ machine: { install: { disk: '/dev/vda' } } });
  });

  test('it is made for the server that is named', async () => {
    await createMachine(sidero, { serverClassRef: { kind: 'ServerClass', name: 'nobody' } });
    await expect(render(sidero)).rejects.toMatchObject({ code: 'SIDERO_CONFIG_SERVER_UNKNOWN' });
    await sidero.resources.create(
      ServerClassKind,
      aServerClass({ metadata: { name: 'nobody' }, spec: { selector: { matchLabels: { no: 'body' } } } }),
    );
    await expect(render(sidero)).rejects.toThrow('ServerClass nobody has no member');
    expect((await render(sidero, { server: FIXTURE_UUID })).note).toContain('you named it');
  });

  test('what is missing is named', async () => {
    await expect(render(sidero, { name: 'nothing' })).rejects.toMatchObject({ code: 'SIDERO_METAL_MACHINE_UNNAMED' });
    await expect(render(sidero)).rejects.toThrow('there is no such MetalMachine');
    await createMachine(sidero);
    await sidero.resources.change(MetalMachineKind, MACHINE, (draft) => void delete draft.spec!.serverRef);
    await expect(render(sidero)).rejects.toThrow('it has neither serverRef nor serverClassRef');
    await sidero.resources.remove(SecretKind, BOOTSTRAP);
    await expect(render(sidero, { server: FIXTURE_UUID })).rejects.toMatchObject({ code: 'SIDERO_CONFIG_UNAVAILABLE' });
  });
});

test('--explain names what put each line there, plugins included', async () => {
  const telling = definePlugin({
    name: 'telling',
    options: z.strictObject({}),
    setup: ({ hooks }) =>
      hooks.bind.tapPromise('telling', async (identity) => ({
        ...identity,
        documents: ['apiVersion: v1alpha1\nkind: EventSinkConfig\nendpoint: 10.0.0.1:4002\n'],
      })),
  });
  await using sidero = await aBoundMachine({ plugins: [telling()] });
  await sidero.resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
    draft.spec!.configPatches = [{ op: 'move', from: '/machine/token', path: '/machine/certSANs' }];
  });
  let text = '';
  await expect.poll(async () => ({ text } = await render(sidero, { explain: true })).text).toContain('certSANs');
  const lines = text.split('\n').map((line) => line.split(' | ').map((part) => part.trim()));
  expect(lines).toContainEqual(['', 'version: v1alpha1']);
  expect(lines).toContainEqual([`configPatches of Server ${FIXTURE_UUID}`, 'certSANs: hunter2']);
  expect(lines).toContainEqual(['node label', `node-labels: metal.sidero.dev/uuid=${FIXTURE_UUID}`]);
  expect(lines).toContainEqual(['document 1 that plugins add', 'endpoint: 10.0.0.1:4002']);
  expect(lines.flat()).not.toContain('token: hunter2');
});
