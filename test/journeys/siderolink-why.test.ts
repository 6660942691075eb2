import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FIXTURE_UUID, freePorts } from '@sidero/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sideroProgram } from '../../core/src/bin/program.ts';
import { linkPlane } from './siderolink-provision/plane.ts';
import { logConnection } from './siderolink-streams/talos-node.ts';

const CONFIG = fileURLToPath(new URL('siderolink-streams/sidero.config.ts', import.meta.url));

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'siderolink-why-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What `sidero why` prints, as somebody's on another host unless `--data-dir` is given. */
async function why(...args: readonly string[]): Promise<string> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await sideroProgram().parseAsync(['why', FIXTURE_UUID, '--kubeconfig', join(folder, 'kubeconfig'), ...args], { from: 'user' });
    return write.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    write.mockRestore();
  }
}
const whyHere = (dataDir: string) => why('--config', CONFIG, '--data-dir', dataDir);

test('sidero why tells whether a machine is in the tunnel, since when, who was refused, and when it last said something', async () => {
  const [logPort = 0] = await freePorts(1);
  const dataDir = join(folder, 'data');
  await using plane = await linkPlane({ dataDir, siderolink: { logPort } });
  await writeFile(join(folder, 'kubeconfig'), plane.kubeConfig.exportConfig());
  expect(await whyHere(dataDir)).toMatch(/^ {2}siderolink {2}never joined; no network boot of ours has told it where to\. Next: /m);

  const { nodeAddressPrefix } = await plane.provision({ joinToken: await plane.token(), talosVersion: 'v1.13.0' });
  await expect.poll(() => whyHere(dataDir)).toMatch(/^ {14}heard since \d\d:\d\d:\d\d \(\d+ s ago\)$/m);
  expect(await whyHere(dataDir)).toMatch(
    new RegExp(`^  siderolink  joined \\d\\d:\\d\\d:\\d\\d \\(\\d+ s ago\\) with its token, at ${nodeAddressPrefix}, Talos v1.13.0$`, 'm'),
  );

  await expect(plane.provision({ joinToken: 'A'.repeat(43) })).rejects.toThrow();
  await expect
    .poll(() => whyHere(dataDir))
    .toMatch(
      /^ {14}\d\d:\d\d:\d\d \(\d+ s ago\): A machine at \S+ asked .* and was refused: .*\. If it is the machine itself, boot it from the network once\.$/m,
    );

  const socket = await logConnection(nodeAddressPrefix.split('/')[0]!, logPort);
  socket.end('{"msg":"a"}\n');
  await expect.poll(() => whyHere(dataDir)).toMatch(/^ {14}kernel log lines: last one \d\d:\d\d:\d\d/m);
  // Of a pod that does not lead the folders are there, and empty.
  await mkdir(join(folder, 'another', 'logs'), { recursive: true });
  expect(await whyHere(join(folder, 'another'))).toMatch(/its lines are not in \S+another: the sidero that leads keeps them\./);
  expect(await why('--config', CONFIG)).toMatch(/its lines are not in \S+\.sidero: the sidero that leads keeps them\. Next: give --data-dir/);
}, 60_000);

test('sidero why without a config tells the rest, and why plugins say nothing', async () => {
  await using plane = await linkPlane();
  await writeFile(join(folder, 'kubeconfig'), plane.kubeConfig.exportConfig());
  const text = await why('--config', join(folder, 'sidero.config.ts'));
  expect(text).toMatch(/^Server /);
  expect(text).toMatch(/^ {2}plugins {5}not asked: .*sidero\.config\.ts/m);
}, 60_000);
