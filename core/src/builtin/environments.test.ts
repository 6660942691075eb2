import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLogger, type Environment, type ServerEvent } from '../index.ts';
import { localCopy } from '../lifecycle/local-copy.ts';
import { EnvironmentFetcher, type FetcherOptions } from './environment-fetcher.ts';
import { conditionsOf, defaultEnvironment } from './environments.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const KERNEL = Buffer.alloc(300_000, 'kernel');
const INITRD = Buffer.alloc(500_000, 'initrd');
const digestOf = (bytes: Buffer) => createHash('sha512').update(bytes).digest('hex');

let dataDir: string;
let web: Server;
let site: string;
let answers: Map<string, Answer>;
let asked: string[];
let events: ServerEvent[];
let fetchers: EnvironmentFetcher[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'environments-'));
  asked = [];
  events = [];
  fetchers = [];
  answers = new Map<string, Answer>([
    ['/k', (_, response) => void response.end(KERNEL)],
    ['/i', (_, response) => void response.end(INITRD)],
    ['/moved', (_, response) => void response.writeHead(302, { location: '/k' }).end()],
  ]);
  web = createServer((request, response) => {
    asked.push(request.url ?? '');
    const answer = answers.get(request.url ?? '');
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(web, 'listening');
  site = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
});

afterEach(async () => {
  for (const fetcher of fetchers) await fetcher[Symbol.asyncDispose]();
  web.closeAllConnections();
  web.close();
  await rm(dataDir, { recursive: true });
});

function aFetcher(options: Partial<FetcherOptions> = {}): EnvironmentFetcher {
  const log = createLogger({ level: 'silent' });
  const defaults = { dataDir, log, stream: (event: ServerEvent) => void events.push(event), stallMs: 5000, concurrency: 4, retryMs: 5, lookMs: 10 };
  const fetcher = new EnvironmentFetcher({ ...defaults, ...options });
  fetchers.push(fetcher);
  return fetcher;
}

function anEnvironment(given: { name?: string; kernel?: string; initrd?: string; sha512?: string } = {}): Environment {
  const { name = 'test', kernel = `${site}/k`, initrd = `${site}/i`, sha512 } = given;
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Environment',
    metadata: { name },
    spec: { kernel: { url: kernel, ...(sha512 && { sha512 }) }, initrd: { url: initrd } },
  };
}

const soon = { interval: 5 };
const isReady = (environment: Environment) => expect.poll(() => localCopy(dataDir, environment), soon).toEqual({ ready: true });
const stateIs = (environment: Environment, reason: string) =>
  expect.poll(() => localCopy(dataDir, environment), soon).toEqual({ ready: false, reason });
const served = (file: string, name = 'test') => readFile(join(dataDir, 'env', name, file));

describe('the files of an Environment', () => {
  test('are fetched, with their progress told, and nothing else is left', async () => {
    const environment = anEnvironment({ sha512: digestOf(KERNEL).toUpperCase() });
    expect(await localCopy(dataDir, environment)).toEqual({ ready: false, reason: 'vmlinuz is being fetched' });
    aFetcher().keep(environment);
    await isReady(environment);
    expect(await served('vmlinuz')).toEqual(KERNEL);
    expect(await served('initramfs.xz')).toEqual(INITRD);
    expect((await readdir(join(dataDir, 'env', 'test'))).toSorted()).toEqual(['.fetched.json', 'initramfs.xz', 'vmlinuz']);
    expect(events.filter((event) => event.type === 'environment' && event.state === 'done')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'test', file: 'vmlinuz', receivedBytes: KERNEL.length, totalBytes: KERNEL.length }),
        expect.objectContaining({ name: 'test', file: 'initramfs.xz', receivedBytes: INITRD.length }),
      ]),
    );
  });

  test('that are here already are not fetched again, by the same or by the next process', async () => {
    const environment = anEnvironment();
    aFetcher().keep(environment);
    await isReady(environment);
    fetchers[0]!.keep(structuredClone(environment));
    aFetcher().keep(environment);
    const looked = events.length;
    aFetcher().keep(anEnvironment({ name: 'other' }));
    await isReady(anEnvironment({ name: 'other' }));
    expect(looked).toBeGreaterThan(0);
    expect(asked.toSorted()).toEqual(['/i', '/i', '/k', '/k']);
  });

  test('follow a redirect', async () => {
    const environment = anEnvironment({ kernel: `${site}/moved` });
    aFetcher().keep(environment);
    await isReady(environment);
    expect(await served('vmlinuz')).toEqual(KERNEL);
  });

  test('of a new URL replace the old ones whole, also when they are shorter', async () => {
    const fetcher = aFetcher();
    fetcher.keep(anEnvironment());
    await isReady(anEnvironment());
    answers.set('/short', (_, response) => void response.end('abc'));
    const changed = anEnvironment({ kernel: `${site}/short` });
    expect(await localCopy(dataDir, changed)).toEqual({ ready: false, reason: 'vmlinuz is being fetched' });
    fetcher.keep(changed);
    await isReady(changed);
    expect((await served('vmlinuz')).toString()).toBe('abc');
    expect(asked.filter((path) => path === '/i')).toHaveLength(1);
  });

  test('that somebody removed or changed are fetched again', async () => {
    const environment = anEnvironment();
    aFetcher().keep(environment);
    await isReady(environment);
    await rm(join(dataDir, 'env', 'test', 'vmlinuz'));
    await utimes(join(dataDir, 'env', 'test', 'initramfs.xz'), 1, 1);
    await isReady(environment);
    expect(asked.toSorted()).toEqual(['/i', '/i', '/k', '/k']);
  });

  test('whose digest becomes known later are not fetched for it', async () => {
    const fetcher = aFetcher();
    fetcher.keep(anEnvironment());
    await isReady(anEnvironment());
    expect(await localCopy(dataDir, anEnvironment({ sha512: digestOf(KERNEL) }))).toEqual({ ready: true });
    expect(await localCopy(dataDir, anEnvironment({ sha512: digestOf(INITRD) }))).toMatchObject({ ready: false });
  });

  test('go with their object', async () => {
    const fetcher = aFetcher();
    fetcher.keep(anEnvironment());
    await isReady(anEnvironment());
    fetcher.drop('test');
    await expect.poll(() => readdir(join(dataDir, 'env'))).toEqual([]);
  });

  test('of objects that went while we were away are removed; other folders are left alone', async () => {
    const before = aFetcher();
    before.keep(anEnvironment());
    await isReady(anEnvironment());
    await before[Symbol.asyncDispose]();
    await mkdir(join(dataDir, 'env', 'agent-amd64'));
    await aFetcher().clean(new Set(['kept']));
    await expect.poll(() => readdir(join(dataDir, 'env'))).toEqual(['agent-amd64']);
  });

  test('are fetched when their object comes while old ones of that name are being removed', async () => {
    const before = aFetcher();
    before.keep(anEnvironment());
    await isReady(anEnvironment());
    await before[Symbol.asyncDispose]();
    const fetcher = aFetcher();
    const cleaned = fetcher.clean(new Set());
    fetcher.keep(anEnvironment());
    await cleaned;
    await isReady(anEnvironment());
    expect((await readdir(join(dataDir, 'env', 'test'))).toSorted()).toEqual(['.fetched.json', 'initramfs.xz', 'vmlinuz']);
  });

  test('come at most as many at once as allowed', async () => {
    let [now, most] = [0, 0];
    const slow: Answer = (_, response) => {
      now += 1;
      most = Math.max(most, now);
      setTimeout(() => {
        now -= 1;
        response.end('x');
      }, 20);
    };
    const all = Array.from({ length: 4 }, (_, index) =>
      anEnvironment({ name: `e${index}`, kernel: `${site}/s${index}`, initrd: `${site}/t${index}` }),
    );
    for (const index of [0, 1, 2, 3]) answers.set(`/s${index}`, slow).set(`/t${index}`, slow);
    const fetcher = aFetcher({ concurrency: 2 });
    for (const environment of all) fetcher.keep(environment);
    for (const environment of all) await isReady(environment);
    expect(most).toBe(2);
  });
});

describe('a file that cannot be fetched', () => {
  test.each([
    ['a status', () => ({ kernel: `${site}/none` }), () => `vmlinuz could not be fetched: ${site}/none answers 404`],
    ['no URL', () => ({ kernel: '' }), () => 'vmlinuz has no URL'],
    ['a strange URL', () => ({ kernel: 'file:///etc/passwd' }), () => 'vmlinuz is at file:///etc/passwd, which is neither http nor https'],
    // With an empty label, for which no resolver is asked: this host's may be slow, or away.
    ['an unknown host', () => ({ kernel: 'http://kernel..invalid/k' }), () => 'vmlinuz could not be fetched: getaddrinfo ENOTFOUND kernel..invalid'],
    ['nobody listening', () => ({ kernel: 'http://127.0.0.1:2/k' }), () => 'vmlinuz could not be fetched: connect ECONNREFUSED 127.0.0.1:2'],
  ])('says why: %s', async (_case, given, reason) => {
    const environment = anEnvironment(given());
    aFetcher().keep(environment);
    await stateIs(environment, reason());
    expect(await served('initramfs.xz')).toEqual(INITRD);
  });

  test('with another digest is not served', async () => {
    const environment = anEnvironment({ sha512: 'ab'.repeat(64) });
    aFetcher().keep(environment);
    await stateIs(environment, `vmlinuz from ${site}/k has the SHA-512 digest ${digestOf(KERNEL).slice(0, 16)}…, not abababababababab…`);
    await expect(served('vmlinuz')).rejects.toThrow('ENOENT');
  });

  test('because the server falls silent is given up', async () => {
    answers.set('/k', (_, response) => void response.writeHead(200, { 'content-length': 1000 }).write('x'));
    const environment = anEnvironment();
    aFetcher({ stallMs: 100 }).keep(environment);
    await stateIs(environment, 'vmlinuz could not be fetched: the web server fell silent');
  });

  test('to its end is not taken for whole', async () => {
    answers.set('/k', (_, response) => {
      response.writeHead(200, { 'content-length': 1000 }).write('x'.repeat(100));
      setTimeout(() => response.destroy(), 5);
    });
    const environment = anEnvironment();
    aFetcher().keep(environment);
    const reason = expect.stringContaining('could not be fetched') as string;
    await expect.poll(() => localCopy(dataDir, environment)).toMatchObject({ reason });
    await expect(served('vmlinuz')).rejects.toThrow('ENOENT');
  });

  test('at first is ready once the server has it', async () => {
    answers.delete('/k');
    const environment = anEnvironment();
    aFetcher().keep(environment);
    await stateIs(environment, `vmlinuz could not be fetched: ${site}/k answers 404`);
    answers.set('/k', (_, response) => void response.end(KERNEL));
    await isReady(environment);
  });

  test('leaves what an earlier process began behind', async () => {
    await mkdir(join(dataDir, 'env', 'test'), { recursive: true });
    await writeFile(join(dataDir, 'env', 'test', '.vmlinuz.part'), 'half');
    await writeFile(join(dataDir, 'env', 'test', '.fetched.json'), '{"files":');
    aFetcher().keep(anEnvironment());
    await isReady(anEnvironment());
    expect((await readdir(join(dataDir, 'env', 'test'))).toSorted()).toEqual(['.fetched.json', 'initramfs.xz', 'vmlinuz']);
  });
});

describe('the conditions of an Environment', () => {
  const now = new Date('2026-01-02T03:04:05.678Z');

  test('are those of the original when its files are here', async () => {
    const environment = anEnvironment({ sha512: digestOf(KERNEL) });
    aFetcher().keep(environment);
    await isReady(environment);
    expect(await conditionsOf(environment, dataDir, now)).toEqual([
      { type: 'Ready', status: 'True', url: `${site}/k`, sha512: digestOf(KERNEL), lastTransitionTime: '2026-01-02T03:04:05Z' },
      { type: 'Ready', status: 'True', url: `${site}/i`, lastTransitionTime: '2026-01-02T03:04:05Z' },
    ]);
  });

  test('are false with the reason while one is not, and keep their time', async () => {
    const environment = anEnvironment({ kernel: '' });
    const at = { type: 'Ready', status: 'False', url: `${site}/i` };
    environment.status = { conditions: [{ ...at, lastTransitionTime: '2025-01-01T00:00:00Z' }] };
    expect(await conditionsOf(environment, dataDir, now)).toEqual([
      { type: 'Ready', status: 'False', reason: 'Fetching', message: 'vmlinuz is being fetched', lastTransitionTime: '2026-01-02T03:04:05Z' },
      { ...at, reason: 'Fetching', message: 'initramfs.xz is being fetched', lastTransitionTime: '2025-01-01T00:00:00Z' },
    ]);
  });

  test('tell that the name is the agent’s', async () => {
    const [condition] = await conditionsOf(anEnvironment({ name: 'agent-amd64' }), dataDir, now);
    expect(condition).toMatchObject({ status: 'False', reason: 'NameReserved' });
  });

  test('without any URL are none, and it is ready', async () => {
    const environment = anEnvironment({ kernel: '', initrd: '' });
    expect(await conditionsOf(environment, dataDir, now)).toEqual([]);
    expect(await localCopy(dataDir, environment)).toEqual({ ready: true });
  });
});

describe('the default Environment', () => {
  const args = (release: string) => defaultEnvironment(release).spec?.kernel?.args?.join(' ');
  const v1_13 =
    'console=tty0 console=ttyS0 consoleblank=0 earlyprintk=ttyS0 init_on_alloc=1 initrd=initramfs.xz module.sig_enforce=1 nvme_core.io_timeout=4294967295 printk.devkmsg=on proc_mem.force_override=never pti=on selinux=1 slab_nomerge= talos.platform=metal';

  test.each([
    ['v1.13.0', v1_13],
    ['v1.12.0', v1_13.replace(' proc_mem.force_override=never', '')],
    ['v1.11.0', v1_13.replace(' proc_mem.force_override=never', '').replace(' module.sig_enforce=1', '')],
    [
      'v1.10.0',
      'console=tty0 console=ttyS0 consoleblank=0 earlyprintk=ttyS0 ima_appraise=fix ima_hash=sha512 ima_template=ima-ng init_on_alloc=1 initrd=initramfs.xz nvme_core.io_timeout=4294967295 printk.devkmsg=on pti=on selinux=1 slab_nomerge= talos.platform=metal',
    ],
    [
      'v1.9.5',
      'console=tty0 console=ttyS0 consoleblank=0 earlyprintk=ttyS0 ima_appraise=fix ima_hash=sha512 ima_template=ima-ng init_on_alloc=1 initrd=initramfs.xz nvme_core.io_timeout=4294967295 printk.devkmsg=on pti=on slab_nomerge= talos.platform=metal',
    ],
  ])('of Talos %s has its arguments, sorted', (release, expected) => expect(args(release)).toBe(expected));

  test('has the files of the release', () => {
    expect(defaultEnvironment('v1.13.0').spec).toMatchObject({
      kernel: { url: 'https://github.com/siderolabs/talos/releases/download/v1.13.0/vmlinuz-amd64' },
      initrd: { url: 'https://github.com/siderolabs/talos/releases/download/v1.13.0/initramfs-amd64.xz' },
    });
  });
});
