import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { definePlugin, environmentFolder, fetchRecordPath, type ServerEvent } from '@sidero/core';
import { aBinding, aServer, anEnvironment, type TestSidero, testSidero } from '@sidero/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { byteRange } from './static-file.ts';

const KERNEL = Buffer.alloc(700_000, 'kernel');
const ALLOCATED = '00000000-0000-4000-8000-00000000000a';
const INSTALLED = '00000000-0000-4000-8000-00000000000b';
const UNREADY = '00000000-0000-4000-8000-00000000000c';
const CURIOUS = '00000000-0000-4000-8000-00000000000d';
const events: ServerEvent[] = [];
let sidero: TestSidero;
let dataDir: string;

const listener = definePlugin({
  name: 'listener',
  options: z.strictObject({}),
  setup({ hooks, diskBoots, files }) {
    hooks.stream.tap('listener', (event) => void events.push(event));
    diskBoots.add({ name: 'mine', answer: ({ server }) => ({ status: 200, body: `disk of ${server?.metadata.name}` }) });
    files.add({ name: 'small.bin', hint: 'none', open: async () => Buffer.from('0123456789') });
    files.add({ name: 'absent.bin', hint: 'none', open: async () => undefined });
  },
});

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'routes-'));
  const installed = (name: string, spec: object = {}) =>
    aServer({
      metadata: { name },
      spec: { accepted: true, ...spec },
      status: { conditions: [{ type: 'PXEBooted', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }] },
    });
  sidero = await testSidero({
    dataDir,
    plugins: [listener()],
    site: { bootFromDiskMethod: 'mine' },
    objects: [
      anEnvironment({
        metadata: { name: 'here' },
        spec: { kernel: { url: 'http://k', args: ['console=tty0', 'x=${uuid}'] }, initrd: { url: 'http://i' } },
      }),
      anEnvironment({ metadata: { name: 'away' }, spec: { kernel: { url: 'http://k' }, initrd: { url: 'http://i' } }, status: {} }),
      aServer({ metadata: { name: ALLOCATED }, spec: { accepted: true, environmentRef: { name: 'here' } } }),
      aServer({ metadata: { name: UNREADY }, spec: { accepted: true, environmentRef: { name: 'away' } } }),
      installed(INSTALLED, { bootFromDiskMethod: 'http-404' }),
      installed(CURIOUS),
      ...[ALLOCATED, UNREADY].map((name) => aBinding({ metadata: { name } })),
      ...[INSTALLED, CURIOUS].map((name) =>
        aBinding({
          metadata: { name },
          status: { conditions: [{ type: 'TalosInstalled', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }] },
        }),
      ),
    ],
  });
  await putEnvironment('here');
});

afterAll(async () => {
  await sidero.close();
  await rm(dataDir, { recursive: true });
});

/** The files of an Environment as the fetcher leaves them. */
async function putEnvironment(name: string): Promise<void> {
  const folder = environmentFolder(dataDir, name);
  await mkdir(folder, { recursive: true });
  const files: Record<string, object> = {};
  for (const [file, url] of [
    ['vmlinuz', 'http://k'],
    ['initramfs.xz', 'http://i'],
  ] as const) {
    await writeFile(join(folder, file), KERNEL);
    const { size, mtimeMs } = await stat(join(folder, file));
    files[file] = { url, sha512: '', sizeBytes: size, modifiedMs: mtimeMs };
  }
  await writeFile(fetchRecordPath(dataDir, name), JSON.stringify({ files, problems: {} }));
}

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${sidero.url}${path}`, { method, headers, redirect: 'manual' });
const IPXE = { 'user-agent': 'iPXE/1.21.1' };

/** Path and headers as they stand; `fetch` would clean the one and add to the others. */
function rawStatus(path: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    httpRequest({ host: sidero.ports.host, port: sidero.ports.http, path, headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

describe('/boot.ipxe', () => {
  test('is the first script with our address in it', async () => {
    const answer = await get('/boot.ipxe');
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(await answer.text()).toContain(`chain --replace ${sidero.url}/ipxe?uuid=`);
  });

  test('answers HEAD and refuses what is no reading', async () => {
    expect((await get('/boot.ipxe', {}, 'HEAD')).headers.get('content-length')).toMatch(/^\d{3}$/);
    expect((await get('/boot.ipxe', {}, 'POST')).status).toBe(405);
  });
});

describe('/ipxe', () => {
  test('boots the agent on an unknown machine, and tells that it was seen', async () => {
    const answer = await get('/ipxe?uuid=00000000-0000-4000-8000-000000000099&mac=52-54-00-12-34-56&arch=x86_64');
    const script = await answer.text();
    expect(script.startsWith('#!ipxe\nkernel /env/agent-amd64/vmlinuz  init_on_alloc=1 ')).toBe(true);
    expect(script).toContain(` sidero.mac=52:54:00:12:34:56 sidero.endpoint=${sidero.url.slice(7)}`);
    expect(events).toContainEqual(
      expect.objectContaining({
        type: 'seen',
        wire: 'ipxe',
        uuid: '00000000-0000-4000-8000-000000000099',
        mac: '52:54:00:12:34:56',
        address: '127.0.0.1',
      }),
    );
  });

  test('boots the Environment of an allocated server, whatever the case of its UUID', async () => {
    expect(await (await get(`/ipxe?uuid=${ALLOCATED.toUpperCase()}`)).text()).toBe(
      '#!ipxe\nkernel /env/here/vmlinuz  console=tty0 x=${uuid}\ninitrd /env/here/initramfs.xz\nboot\n',
    );
  });

  test('says no with status and reason to a client that is not iPXE', async () => {
    const answer = await get(`/ipxe?uuid=${UNREADY}`);
    expect([answer.status, await answer.text()]).toEqual([412, 'environment "away" is not ready: vmlinuz is being fetched']);
  });

  test('shows iPXE the reason and has it ask again', async () => {
    const answer = await get(`/ipxe?uuid=${UNREADY}&mac=52-54-00-12-34-56`, IPXE);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe(
      `#!ipxe\n:again\necho environment away is not ready: vmlinuz is being fetched\necho Asking again in 10 seconds...\nsleep 10\nchain --replace ${sidero.url}/ipxe?uuid=${UNREADY}&mac=52-54-00-12-34-56&arch=x86_64 || goto again\n`,
    );
  });

  test('boots an installed server from disk in the way it names, ours or a stranger’s', async () => {
    const answer = await get(`/ipxe?uuid=${INSTALLED}`);
    expect([answer.status, await answer.text()]).toEqual([404, '']);
    expect(await (await get(`/ipxe?uuid=${CURIOUS}`)).text()).toBe(`disk of ${CURIOUS}`);
  });

  test('HEAD only looks', async () => {
    const before = events.length;
    expect((await get('/ipxe?uuid=00000000-0000-4000-8000-000000000098', {}, 'HEAD')).status).toBe(200);
    expect(events.length).toBe(before);
  });
});

describe('files', () => {
  test('come whole, with length, type and progress', async () => {
    events.length = 0;
    const answer = await get('/env/here/vmlinuz');
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-length': '700000',
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
    });
    expect(Buffer.from(await answer.arrayBuffer()).equals(KERNEL)).toBe(true);
    const about = { type: 'transfer', wire: 'http', file: 'here/vmlinuz', address: '127.0.0.1', totalBytes: 700_000 };
    await expect.poll(() => events).toContainEqual(expect.objectContaining({ ...about, sentBytes: 700_000, state: 'done' }));
    expect(events).toContainEqual(expect.objectContaining({ ...about, sentBytes: 0, state: 'running' }));
  });

  test('come in parts', async () => {
    const answer = await get('/env/here/vmlinuz', { range: 'bytes=10-19' });
    expect([answer.status, answer.headers.get('content-range'), await answer.text()]).toEqual([
      206,
      'bytes 10-19/700000',
      KERNEL.subarray(10, 20).toString(),
    ]);
    const tail = await get('/tftp/small.bin', { range: 'bytes=-3' });
    expect([tail.status, await tail.text()]).toEqual([206, '789']);
    const beyond = await get('/tftp/small.bin', { range: 'bytes=10-' });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */10']);
  });

  test('are not sent to who has them', async () => {
    const { headers } = await get('/env/here/vmlinuz', {}, 'HEAD');
    const etag = headers.get('etag')!;
    const modified = headers.get('last-modified')!;
    expect(await rawStatus('/env/here/vmlinuz', { 'if-none-match': etag })).toBe(304);
    expect(await rawStatus('/env/here/vmlinuz', { 'if-modified-since': modified })).toBe(304);
    expect((await get('/env/here/vmlinuz', { range: 'bytes=0-1', 'if-range': etag })).status).toBe(206);
    const changed = await get('/env/here/vmlinuz', { range: 'bytes=0-1', 'if-range': '"other"' });
    expect([changed.status, changed.headers.get('content-length')]).toEqual([200, '700000']);
    await changed.arrayBuffer();
  });

  test('answer HEAD with the length alone', async () => {
    const answer = await get('/tftp/small.bin', {}, 'HEAD');
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '10', '']);
  });

  test('of the registry are served', async () => expect(await (await get('/tftp/small.bin')).text()).toBe('0123456789'));

  test.each([
    '/env',
    '/env/',
    '/env/here',
    '/env/here/',
    '/env/here/.fetched.json',
    '/env/here/none',
    '/env/none/vmlinuz',
    '/env/here/sub',
    '/env/../sidero.sqlite',
    '/env/%2e%2e/sidero.sqlite',
    '/env/here/..%2f..%2fsidero.sqlite',
    '/env/here/%00',
    '/tftp/none',
    '/tftp/absent.bin',
    '/tftp/..%2fenv%2fhere%2fvmlinuz',
    '/tftp/',
  ])('%s is not found', async (path) => {
    await mkdir(join(dataDir, 'env', 'here', 'sub'), { recursive: true });
    expect(await rawStatus(path)).toBe(404);
  });

  test('behind a link of the operator are served', async () => {
    await symlink(join(dataDir, 'env', 'here'), join(dataDir, 'env', 'linked')).catch(() => undefined);
    expect((await get('/env/linked/vmlinuz', {}, 'HEAD')).status).toBe(200);
  });

  test.runIf(process.platform === 'linux')('of a client that leaves before the first byte are not left open', async () => {
    const file = join(environmentFolder(dataDir, 'here'), 'vmlinuz');
    const leave = async () => {
      const socket = connect({ host: sidero.ports.host, port: sidero.ports.http });
      await once(socket, 'connect');
      socket.end('GET /env/here/vmlinuz HTTP/1.1\r\nHost: here\r\n\r\n', () => socket.destroy());
      await once(socket, 'close');
    };
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => void warnings.push(message);
    process.on('warning', onWarning);
    await Promise.all(Array.from({ length: 50 }, leave));
    // As a link that the kernel shows for every open file.
    const open = async () => {
      const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
      return links.filter((link) => link === file).length;
    };
    // A request that comes after them has been answered: so have they.
    await (await get('/env/here/vmlinuz')).arrayBuffer();
    await expect.poll(open).toBe(0);
    process.off('warning', onWarning);
    // The garbage collector would close them too, late, and says so.
    expect(warnings).toEqual([]);
  });

  test('of a client that leaves are told as failed', async () => {
    events.length = 0;
    await writeFile(join(dataDir, 'env', 'here', 'large'), Buffer.alloc(50_000_000));
    const stop = new AbortController();
    const answer = await fetch(`${sidero.url}/env/here/large`, { signal: stop.signal });
    await answer.body!.getReader().read();
    stop.abort();
    await expect.poll(() => events).toContainEqual(expect.objectContaining({ type: 'transfer', file: 'here/large', state: 'failed' }));
  });
});

describe('a range', () => {
  test.each([
    [undefined, 0, 10],
    ['bytes=0-', 0, 10],
    ['bytes=2-3', 2, 4],
    ['bytes=2-99', 2, 10],
    ['bytes=-3', 7, 10],
    ['bytes=-99', 0, 10],
    ['bytes=3-2', 0, 10],
    ['bytes=0-1,3-4', 0, 10],
    ['items=0-1', 0, 10],
    ['bytes=-', 0, 10],
    ['nonsense', 0, 10],
  ])('%s of ten bytes is %i to %i', (header, start, end) => expect(byteRange(header, 10)).toEqual({ start, end }));

  test.each(['bytes=10-', 'bytes=99-100', 'bytes=-0'])('%s of ten bytes cannot be had', (header) => expect(byteRange(header, 10)).toBeUndefined());
});
