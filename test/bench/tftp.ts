import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { downloadByTftp, freePorts, seededRandom, testSidero } from '@sidero/testing';
import type { Measurement } from './measure.ts';

const FILE_BYTES = 8_000_000;
const NAME = 'snp.efi';

/** One client that fetches a large boot file at the block size of an Ethernet frame, without windows and with windows of 16. */
export async function measureTftp(): Promise<readonly Measurement[]> {
  const directory = await mkdtemp(join(tmpdir(), 'sidero-bench-'));
  try {
    await writeFile(join(directory, NAME), seededRandom('bench').bytes(FILE_BYTES));
    await using sidero = await testSidero({ bootIpxe: { ipxeDir: directory } });
    const ours = await megabytesPerSecond('127.0.0.1', sidero.ports.tftp, 1);
    const windowed = await megabytesPerSecond('127.0.0.1', sidero.ports.tftp, 16);
    const peer = await measurePeer(directory);
    const note = `${FILE_BYTES / 1e6} MB, blksize 1468`;
    return [
      { what: 'TFTP', ours, unit: 'MB/s', digits: 0, ...(peer && { peer }), note },
      { what: 'TFTP, windowsize 16', ours: windowed, unit: 'MB/s', digits: 0, note: `${note}; no peer here knows windows` },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function megabytesPerSecond(host: string, port: number, windowSize: number): Promise<number> {
  const link = { address: '127.0.0.1', loss: 0, random: seededRandom('bench') };
  const startedMs = performance.now();
  const file = await downloadByTftp({ machine: 'bench', host, port, file: NAME, windowSize }, link, AbortSignal.timeout(60_000));
  return file.length / 1000 / (performance.now() - startedMs);
}

/** Another TFTP server that is installed here: tftpd-hpa, or dnsmasq, which needs root for its port. Undefined when there is none. */
async function measurePeer(directory: string): Promise<Measurement['peer']> {
  const [tftp = 0] = await freePorts(1);
  const hpa = await started('in.tftpd', ['--foreground', '--user', 'root', '--address', `127.0.0.1:${tftp}`, '--secure', directory]);
  if (hpa) return await measured('tftpd-hpa', hpa, { host: '127.0.0.1', port: tftp });
  const host = '127.0.69.69';
  const settings = [
    '--no-daemon',
    '--conf-file=/dev/null',
    '--port=0',
    '--user=root',
    '--enable-tftp',
    `--tftp-root=${directory}`,
    `--listen-address=${host}`,
    '--bind-interfaces',
  ];
  const dnsmasq = process.getuid?.() === 0 ? await started('dnsmasq', settings) : undefined;
  return dnsmasq && (await measured('dnsmasq', dnsmasq, { host, port: 69 }));
}

async function measured(name: string, server: ChildProcess, at: { host: string; port: number }): Promise<Measurement['peer']> {
  try {
    return { name, value: await megabytesPerSecond(at.host, at.port, 0) };
  } finally {
    const gone = once(server, 'exit');
    server.kill();
    await gone;
  }
}

/** Undefined when the program is not there. */
async function started(program: string, args: readonly string[]): Promise<ChildProcess | undefined> {
  const child = spawn(program, args, { stdio: 'ignore', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` } });
  try {
    await once(child, 'spawn');
    return child;
  } catch {
    return undefined;
  }
}
