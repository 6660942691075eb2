import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Server } from '@sidero/core';
import { fleet, freePorts, writeStandIns } from '@sidero/testing';
import { startManagementPlane, thisHost } from '@sidero/testing/qemu';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { KUBERNETES_VERSION, type RealKubeApi, startKubeApiServer, testCache } from './kube-apiserver.ts';

const ROOT = join(import.meta.dirname, '../..');
const isPossible = existsSync(join(testCache(), `kubernetes-${KUBERNETES_VERSION}`, 'kube-apiserver'));

describe.skipIf(!isPossible)('on a real kube-apiserver', () => {
  let api: RealKubeApi;
  let folder: string;
  let config: string;
  let ports: { http: number; tftp: number };
  const variables: Record<string, string> = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sidero-journey-'));
    api = await startKubeApiServer();
    const [http = 0, tftp = 0, webhook = 0] = await freePorts(3);
    ports = { http, tftp };
    variables['SIDERO_WEBHOOK_PORT'] = String(webhook);
    await writeStandIns(join(folder, 'data'));
    const plugins = [
      { from: join(ROOT, 'plugins/boot-ipxe/src/index.ts'), options: { tftpPort: tftp, tftpAddress: '127.0.0.1' } },
      { from: join(ROOT, 'plugins/agent/src/index.ts'), options: { autoAccept: true } },
    ];
    config = join(folder, 'sidero.config.json');
    await writeFile(config, JSON.stringify({ endpoint: '127.0.0.1', apiPort: http, healthAddress: 'off', diagnosticsAddress: 'off', plugins }));
    const applied = await api.kubectl(['apply', '-f', join(ROOT, 'core/manifests/crds')]);
    expect(applied.stderr).toBe('');
    expect(applied.code).toBe(0);
  });

  afterAll(async () => {
    await api?.close();
    await rm(folder, { recursive: true, force: true });
  });

  function start() {
    return startManagementPlane(thisHost, { config, dataDir: join(folder, 'data'), args: ['--kubeconfig', api.kubeconfigPath], env: variables });
  }

  async function server(uuid: string): Promise<Server | undefined> {
    const { stdout, code } = await api.kubectl(['get', 'server', uuid, '-o', 'json']);
    return code === 0 ? (JSON.parse(stdout) as Server) : undefined;
  }

  test('a machine that network-boots is an accepted Server in kubectl, also after the management plane was killed', async () => {
    const [machine] = fleet(1, { plane: ports, seed: 'kube', timeFactor: 0.001 });
    const life = new AbortController();
    {
      await using plane = await start();
      const end = machine!.run(life.signal).catch((thrown: unknown) => thrown);
      await vi.waitFor(async () => expect((await server(machine!.uuid))?.spec?.accepted, plane.lines.slice(-20).join('\n')).toBe(true), {
        timeout: 60_000,
        interval: 200,
      });
      life.abort();
      await end;
      process.kill(plane.pid, 'SIGKILL');
      await plane.exited;
    }
    const before = await server(machine!.uuid);
    const { stdout: table } = await api.kubectl(['get', 'servers']);
    expect(table.split('\n')[0]).toMatch(/^NAME +HOSTNAME +ACCEPTED +CORDONED +ALLOCATED +CLEAN +POWER +AGE$/);
    await using _again = await start();
    expect(await server(machine!.uuid)).toEqual(before);
    expect(before?.spec?.hardware?.system?.serialNumber).toBe(machine!.inventory.system.serialNumber);
  });
});
