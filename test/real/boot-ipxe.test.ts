import { execFile, spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { definePlugin } from '@sidero/core';
import { type TestSidero, testSidero } from '@sidero/testing';
import { createNetwork, type Namespace, type Network, qemuSupport, startManagementPlane } from '@sidero/testing/qemu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const has = (program: string, ...args: string[]) => spawnSync(program, args).error === undefined;

/** Bytes in which no block is like another. */
const LARGE = Buffer.from(Array.from({ length: 400_000 }, (_, index) => String(index)).join(' '));
const FILES: Readonly<Record<string, Buffer>> = {
  large: LARGE,
  empty: Buffer.alloc(0),
  even: LARGE.subarray(0, 1468 * 4),
  'text.txt': Buffer.from('one\ntwo\n'),
};

const files = definePlugin({
  name: 'test-files',
  options: z.strictObject({}),
  setup: (sidero) => Object.entries(FILES).forEach(([name, bytes]) => sidero.files.add({ name, hint: 'none', open: async () => bytes })),
});

describe('TFTP clients of others', () => {
  let sidero: TestSidero;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tftp-'));
    sidero = await testSidero({ plugins: [files()] });
  });
  afterAll(async () => {
    await sidero?.close();
    await rm(folder, { recursive: true });
  });

  const url = (file: string) => `tftp://${sidero.ports.host}:${sidero.ports.tftp}/${file}`;
  const sizes = Object.keys(FILES).flatMap((file) => [512, 1428, 8192].map((blockSize) => ({ file, blockSize })));

  describe.skipIf(!has('curl', '--version'))('curl', () => {
    test.each(sizes)('fetches "$file" with blocks of $blockSize bytes', async ({ file, blockSize }) => {
      const out = join(folder, `${file}-${blockSize}`);
      await run('curl', ['--silent', '--fail', '--max-time', '60', '--tftp-blksize', String(blockSize), '--output', out, url(file)]);
      const fetched = await readFile(out).catch(() => Buffer.alloc(0)); // curl writes no file for no bytes
      expect(fetched.equals(FILES[file]!)).toBe(true);
    });

    test('without options fetches a file', async () => {
      const { stdout } = await run('curl', ['--silent', '--tftp-no-options', url('text.txt')]);
      expect(stdout).toBe('one\ntwo\n');
    });

    test('is told of a missing file', async () => {
      // 68 is curl's code for "file not found on the TFTP server".
      await expect(run('curl', ['--silent', url('../../etc/passwd')])).rejects.toMatchObject({ code: 68 });
    });

    test('may not write', async () => {
      await expect(run('curl', ['--silent', '--max-time', '10', '--upload-file', join(ROOT, 'package.json'), url('x')])).rejects.toMatchObject({
        code: 71,
      });
    });
  });

  describe.skipIf(!has('tftp', '-V'))('tftp-hpa', () => {
    const fetchFile = async (mode: string, file: string) => {
      const out = join(folder, `hpa-${mode}-${file}`);
      const asked = await run('tftp', [sidero.ports.host, String(sidero.ports.tftp), '-m', mode, '-c', 'get', file, out]);
      return { ...asked, bytes: await readFile(out) };
    };

    test.each(Object.keys(FILES))('fetches "%s"', async (file) => expect((await fetchFile('binary', file)).bytes.equals(FILES[file]!)).toBe(true));

    test('fetches text, its line ends turned twice', async () => expect((await fetchFile('ascii', 'text.txt')).bytes.toString()).toBe('one\ntwo\n'));

    test('shows what is missing', async () => expect((await fetchFile('binary', 'none')).stdout).toContain('file not found'));
  });

  test.skipIf(!has('busybox', 'tftp', '--help'))('busybox fetches a file', async () => {
    const out = join(folder, 'busybox');
    await run('busybox', ['tftp', '-b', '1428', '-g', '-r', 'large', '-l', out, sidero.ports.host, String(sidero.ports.tftp)]);
    expect((await readFile(out)).equals(LARGE)).toBe(true);
  });
});

describe.skipIf(qemuSupport([]).length > 0 || !has('busybox', 'udhcpc', '--help'))('busybox’ DHCP client on a link of ours', () => {
  /** What the client was given, as udhcpc hands it to its script. */
  async function lease(host: Namespace, network: Network, ...options: readonly string[]): Promise<Record<string, string>> {
    const out = join(network.dir, `lease-${host.pid}`);
    const script = join(network.dir, `script-${host.pid}`);
    await writeFile(script, `#!/bin/sh\n[ "$1" = bound ] && env > ${out}; exit 0\n`);
    await chmod(script, 0o755);
    await host.run(['busybox', 'udhcpc', '-i', 'br0', '-f', '-q', '-n', '-t', '20', '-T', '1', '-s', script, ...options]);
    return Object.fromEntries((await readFile(out, 'utf8')).split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
  }

  async function aPlane(network: Network) {
    const config = join(network.dir, 'sidero.config.json');
    const dataDir = join(network.dir, 'data');
    const full = { mode: 'full', interface: network.bridge, range: ['10.77.0.50', '10.77.0.60'], router: '10.77.0.254', dns: ['10.77.0.1'] };
    const plugin = (name: string, options: object) => ({ from: join(ROOT, 'plugins', name, 'src/index.ts'), options });
    await writeFile(config, JSON.stringify({ endpoint: network.address, plugins: [plugin('apiserver', {}), plugin('boot-ipxe', { dhcp: [full] })] }));
    return startManagementPlane(network, { config, dataDir });
  }

  const aHost = async (network: Network, address: string) => {
    const host = await network.addHost(address);
    await host.run(['ip', 'addr', 'flush', 'dev', 'br0']);
    return host;
  };

  test('gets an address, keeps it over a restart of ours, and is told what to boot', async () => {
    await using network = await createNetwork();
    const first = await aHost(network, '10.77.0.20');
    const second = await aHost(network, '10.77.0.21');
    {
      await using plane = await aPlane(network);
      const given = await lease(first, network);
      expect(given).toMatchObject({ ip: '10.77.0.50', mask: '24', router: '10.77.0.254', dns: '10.77.0.1', serverid: '10.77.0.1', lease: '3600' });
      expect(given).not.toHaveProperty('boot_file');
      expect(plane.lines.join('\n')).toContain('10.77.0.50');
    }
    await using _plane = await aPlane(network);
    expect(await lease(second, network)).toMatchObject({ ip: '10.77.0.51' });
    expect(await lease(first, network)).toMatchObject({ ip: '10.77.0.50' });
    const booting = await lease(second, network, '-V', 'PXEClient:Arch:00007:UNDI:003016', '-x', '0x5d:0007');
    expect(booting).toMatchObject({ ip: '10.77.0.51', siaddr: '10.77.0.1', boot_file: 'snp.efi' });
  });
});
