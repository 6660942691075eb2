import { Writable } from 'node:stream';
import { createLogger } from '@sidero/core';
import { testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';
import { smallDisk } from './small-disk.ts';

test('room that is short in the data directory is told of by log, health and metrics, and costs no readiness', async ({ skip }) => {
  await using disk = await smallDisk(16);
  if (!disk) return skip('needs the right to mount a tmpfs');
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      const { level, folder, msg } = JSON.parse(String(chunk)) as { level: number; folder?: string; msg: string };
      if (folder === disk.path) lines.push(`${level} ${msg}`);
      done();
    },
  });
  const site = { healthAddress: '127.0.0.1:0', diagnosticsAddress: '127.0.0.1:0', insecureDiagnostics: true };
  await using sidero = await testSidero({ dataDir: disk.path, site, log: createLogger({ level: 'info', destination }) });
  const { healthPort, diagnosticsPort } = sidero.running;
  const told = async () => {
    const health = await fetch(`http://127.0.0.1:${healthPort}/readyz/data-directory?verbose`);
    return `${health.status} ${(await health.text()).split('\n')[0]}`;
  };
  const freeBytes = async () => {
    const text = await (await fetch(`http://127.0.0.1:${diagnosticsPort}/metrics`)).text();
    return Number(/^sidero_data_dir_free_bytes (\d+)$/m.exec(text)?.[1]);
  };
  const soon = { timeout: 30_000, interval: 200 };
  await expect.poll(told, soon).toBe('200 [+]data-directory ok');
  await expect.poll(freeBytes, soon).toBeGreaterThan(1e6);
  const makeRoom = await disk.fill();
  await expect.poll(told, soon).toMatch(`200 [+]data-directory ok, but: 0 MB are left in ${disk.path}: make room`);
  await expect.poll(freeBytes, soon).toBe(0);
  await makeRoom();
  await expect.poll(told, soon).toBe('200 [+]data-directory ok');
  expect(lines).toEqual([expect.stringMatching(/^40 0 MB are left in .*: make room/), '30 there is room in the data directory again']);
});
