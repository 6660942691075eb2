import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startSideroProcess } from '@sidero/testing';
import type { Measurement } from './measure.ts';

const config = fileURLToPath(new URL('../../sidero.config.ts', import.meta.url));

/** `sidero start` with the configuration of this repository: how soon it serves, first and second time, and the memory it then has. */
export async function measureProcess(): Promise<readonly Measurement[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sidero-bench-'));
  try {
    const first = await startSideroProcess({ config, dataDir });
    await first.stop();
    await using second = await startSideroProcess({ config, dataDir });
    const rssMB = process.platform === 'linux' ? await rss(second.pid) : Number.NaN;
    const note = 'embedded API, all plugins';
    return [
      { what: 'start to ready, empty data directory', ours: first.readyMs, unit: 'ms', digits: 0, note },
      { what: 'start to ready, second time', ours: second.readyMs, unit: 'ms', digits: 0, note },
      { what: 'memory at rest (RSS)', ours: rssMB, unit: 'MB', digits: 0, note },
    ];
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function rss(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}
