import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { isTalosBuilt } from './program.ts';
import { startTalosMachines, type TalosMachines } from './talos-machines.ts';

const UUID = '4c4c4544-0000-4000-8000-000000000001';
const WORKER = `version: v1alpha1
machine:
  type: worker
  token: abcdef.0123456789abcdef
  ca: { crt: ${Buffer.from('certificate').toString('base64')}, key: "" }
  install: { disk: /dev/vda }
  kubelet: { extraArgs: { node-labels: "rack=1,metal.sidero.dev/uuid=${UUID}" } }
  network: { hostname: node-1 }
cluster:
  id: xeB5tOgb4gE-fzYkUnCtZK-pTUzYi13tMzMCYCsbBjQ=
  secret: c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=
  token: abcdef.0123456789abcdef
  clusterName: rack-1
  controlPlane: { endpoint: "https://10.0.0.10:6443" }
  ca: { crt: ${Buffer.from('certificate').toString('base64')}, key: "" }
`;

describe.skipIf(!isTalosBuilt)("a machine that runs Talos' stand-in", () => {
  let server: Server;
  let talos: TalosMachines;
  let folder: string;
  afterEach(async () => {
    await talos[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Boots it where `answer` serves configurations. */
  async function boot(answer: RequestListener, kernelArgs = (url: string) => [`talos.config=${url}/configdata?uuid=&token=x`]): Promise<string> {
    server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    folder = await mkdtemp(join(tmpdir(), 'talos-'));
    const disk = join(folder, 'disk');
    talos = startTalosMachines();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    talos.boot({ uuid: UUID, kernelArgs: kernelArgs(url), disk, address: '127.77.0.1', retryMs: 20 });
    return disk;
  }
  const told = () => talos.events.map(({ event }) => event);
  const until = (assertion: () => void) => vi.waitFor(assertion, { timeout: 20_000 });
  const tells = (event: string) => until(() => expect(told()).toContain(event));

  test('asks with its own UUID until it gets a configuration, installs it and reboots', async () => {
    const asked: string[] = [];
    const disk = await boot(({ url }, response) => {
      asked.push(url!);
      response.statusCode = asked.length < 3 ? 404 : 200;
      response.end(asked.length < 3 ? 'not allocated' : WORKER);
    });
    await tells('off');
    expect(asked).toEqual(
      Array.from({ length: 3 }, () => expect.stringMatching(new RegExp(`^/configdata\\?(token=x&uuid=${UUID}|uuid=${UUID}&token=x)$`))),
    );
    expect(told()).toEqual(['retry', 'retry', 'config', 'installed', 'reboot', 'off']);
    expect(talos.events[0]!.detail).toBe('status 404: not allocated');
    await access(disk);
  });

  test('goes on from its disk without asking, as the node that its configuration makes it', async () => {
    let count = 0;
    const disk = await boot((_request, response) => {
      count++;
      response.end(gzipSync(WORKER));
    });
    await tells('off');
    talos.boot({ uuid: UUID, kernelArgs: [], disk, address: '127.77.0.1' });
    await tells('running');
    expect(count).toBe(1);
    expect(talos.events.at(-1)!.node).toEqual({
      name: 'node-1',
      type: 'worker',
      labels: { rack: '1', 'metal.sidero.dev/uuid': UUID },
      address: '127.77.0.1',
      cluster: 'rack-1',
      endpoint: 'https://10.0.0.10:6443',
    });
    talos.off(UUID);
    await until(() => expect(told().at(-1)).toBe('off'));
  });

  test('takes no configuration that Talos would refuse', async () => {
    const disk = await boot((_request, response) => void response.end('version: v1alpha1\nmachine: {type: worker, brandNew: 1}\n'));
    await tells('refused');
    expect(talos.events.at(-1)!.detail).toContain('unknown keys found');
    await expect(access(disk)).rejects.toThrow('ENOENT');
  });

  test('waits where it is told of no configuration', async () => {
    await boot(
      () => {},
      () => ['talos.platform=metal'],
    );
    await tells('waiting');
  });
});
