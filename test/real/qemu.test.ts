import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createNetwork, type Namespace, qemuSupport } from '@sidero/testing/qemu';
import { describe, expect, test, vi } from 'vitest';

const SERVER = `require('node:http').createServer((_, answer) => answer.end('hello')).listen(8000, () => console.log('serving'))`;

async function startWebServer(space: Namespace) {
  const server = await space.start([process.execPath, '--eval', SERVER], { name: 'web server' });
  await server.line(/serving/, { timeoutMs: 10_000 });
  return server;
}

function get(space: Namespace, url: string): Promise<string> {
  return space.run([process.execPath, '--eval', `fetch('${url}').then((answer) => answer.text()).then((text) => console.log(text))`]);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

describe.skipIf(qemuSupport([]).length > 0)('a network for QEMU machines', () => {
  test('hosts on it reach each other', async () => {
    await using network = await createNetwork();
    const host = await network.addHost('10.77.0.2');
    await using _server = await startWebServer(host);
    expect(await get(network, 'http://10.77.0.2:8000/')).toBe('hello\n');
  });

  test('is apart from this host and from other networks, but for the ports it forwards', async () => {
    await using one = await createNetwork();
    await using other = await createNetwork();
    await using _server = await startWebServer(one);
    await expect(get(other, 'http://10.77.0.1:8000/')).rejects.toMatchObject({ code: 'SIDERO_QEMU_COMMAND_FAILED' });
    await expect(fetch('http://127.0.0.1:8000/')).rejects.toThrow();
    await one.forward(8000);
    expect(await (await fetch('http://127.0.0.1:8000/')).text()).toBe('hello');
  });

  test('reaches the port of this host that is brought in', async () => {
    await using network = await createNetwork();
    const server = createServer((_, answer) => answer.end('from outside')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await expect(get(network, `http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'SIDERO_QEMU_COMMAND_FAILED' });
    await network.bring(port);
    expect(await get(network, `http://127.0.0.1:${port}/`)).toBe('from outside\n');
    server.closeAllConnections();
    server.close();
  });

  test('vanishes with the process that made it, even when that is killed', async () => {
    const script = `import { createNetwork } from '@sidero/testing/qemu';
      const network = await createNetwork();
      const child = await network.start(['sleep', '1000'], { name: 'sleep' });
      console.log(JSON.stringify({ pids: [network.pid, child.pid], dir: network.dir }));
      await child.exited;`;
    const owner = spawn(process.execPath, ['--conditions=source', '--input-type=module', '--eval', script], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [text] = (await once(owner.stdout, 'data')) as [Buffer];
    const { pids, dir } = JSON.parse(String(text)) as { pids: number[]; dir: string };
    expect(await Promise.all(pids.map((pid) => exists(`/proc/${pid}`)))).toEqual([true, true]);

    owner.kill('SIGKILL');
    await once(owner, 'close');
    await vi.waitFor(async () => expect(await Promise.all(pids.map((pid) => exists(`/proc/${pid}`)))).toEqual([false, false]), { timeout: 10_000 });
    await using _next = await createNetwork(); // sweeps up what the killed one left
    expect(await exists(dir)).toBe(false);
  });
});
