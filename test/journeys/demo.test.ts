import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '@sidero/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../kit/src/demo/main.ts', import.meta.url));
let dataDir: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sidero-demo-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

function demo(...args: readonly string[]) {
  const child = spawn(process.execPath, ['--conditions=source', main, '--data-dir', dataDir, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk) => (said.out += chunk));
  child.stderr.on('data', (chunk) => (said.err += chunk));
  return { child, said, ended: once(child, 'close').then(([code]) => code as number | null) };
}

test('--once brings all machines to clean and off, makes a cluster of them, and ends with a line of JSON', async () => {
  const { said, ended } = demo('--once', '--servers', '2');
  expect(await ended, said.err).toBe(0);
  const result = { servers: 2, accepted: 2, clean: 2, installed: 2, streaming: 2, seconds: expect.any(Number) };
  expect(JSON.parse(said.out.trim().split('\n').at(-1)!)).toEqual(result);
  for (const stage of [/ accepted {2}/gm, / wiping {2}\[[#.]+\] .* TB of .* TB {2}6 disks$/gm, / clean {2}/gm, / off {2}clean$/gm])
    expect(said.out.match(stage)).toHaveLength(2);
  for (const text of [
    / installing$/gm,
    / \| \[talos\] Talos v[\d.]+, from the network$/gm,
    / \| \[talos\] installation of \w+ complete, rebooting$/gm,
  ])
    expect(said.out.match(text)).toHaveLength(2);
  expect(said.out).toContain('nothing is encrypted');
  expect(said.out).toContain(`kubectl --kubeconfig ${dataDir}/kubeconfig get servers,serverbindings,machines`);
  expect(said.err).toBe('');
}, 120_000);

test('--once says which machine is missing, and why, when the time is up', async () => {
  const { said, ended } = demo('--once', '--servers', '300', '--timeout', '1');
  expect(await ended).toBe(1);
  const result = JSON.parse(said.out.trim().split('\n').at(-1)!) as { clean: number };
  expect(result.clean).toBeLessThan(300);
  expect(said.err).toContain('SIDERO_DEMO_LATE');
  expect(said.err).toMatch(/is at "/);
}, 120_000);

test('without --once it stays up, and Ctrl-C ends it in under two seconds', async () => {
  const { child, said, ended } = demo('--servers', '1');
  await expect.poll(() => said.out, { timeout: 90_000 }).toContain('Ctrl-C ends the demo.');
  const startedMs = performance.now();
  child.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(2000);
}, 120_000);

test('Ctrl-C while machines boot ends it too', async () => {
  const { child, said, ended } = demo('--servers', '50');
  await expect.poll(() => said.out, { timeout: 90_000 }).toContain('kernel');
  child.kill('SIGINT');
  expect(await ended).not.toBeNull();
}, 120_000);

test('it starts on what an earlier demo left, and listens on loopback only', async () => {
  await demo('--once', '--servers', '1').ended;
  const [base = 0] = await freePorts(6);
  const { said, ended } = demo('--once', '--servers', '1', '--port-base', String(base));
  expect(await ended, said.err).toBe(0);
  expect(await readFile(join(dataDir, 'kubeconfig'), 'utf8')).toContain(`https://127.0.0.1:${base + 2}`);
  expect(JSON.parse(said.out.trim().split('\n').at(-1)!)).toMatchObject({ servers: 1, accepted: 1, clean: 1, installed: 1, streaming: 1 });
}, 240_000);

test('two at once, in one directory, do not touch each other', async () => {
  const run = () => {
    const child = spawn(process.execPath, ['--conditions=source', main, '--once', '--servers', '1'], {
      cwd: dataDir,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(child);
    let out = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    return once(child, 'close').then(([code]) => ({ code: code as number | null, out }));
  };
  const both = await Promise.all([run(), run()]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  const kubeconfigs = both.map(({ out }) => /--kubeconfig (\S+)/.exec(out)![1]!);
  expect(new Set(kubeconfigs)).toEqual(new Set(['.sidero/demo/kubeconfig', '.sidero/demo-2/kubeconfig']));
  const [first, second] = await Promise.all(kubeconfigs.map((file) => readFile(join(dataDir, file), 'utf8')));
  expect(first).not.toBe(second);
}, 240_000);

test('a wrong option is refused with the next step', async () => {
  const { said, ended } = demo('--servers', 'many');
  expect(await ended).toBe(1);
  expect(said.err).toMatch(/SIDERO_DEMO_OPTION_INVALID: --servers is "many".*\n {2}Next: /);
});
