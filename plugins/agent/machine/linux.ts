import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { askIpmi } from './ipmi-device.ts';
import type { Daemon, Machine } from './machine.ts';
import { openLinuxDisk } from './wipe/linux-block-device.ts';

const RUN_TIMEOUT_MS = 60_000;
const RESTART_PAUSE_MS = 2000;

/** The machine this process runs on. */
export function linuxMachine(say: Machine['say']): Machine {
  const run: Machine['run'] = (command, args) =>
    new Promise((resolve) => {
      execFile(command, args, { timeout: RUN_TIMEOUT_MS }, (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0;
        resolve({ code, output: `${stdout}${stderr}`.trim() || (error?.message ?? '') });
      });
    });
  return {
    run,
    say,
    text: (path) => attempt(() => readFileSync(path, 'utf8').trim()),
    bytes: (path) => attempt(() => readFileSync(path)),
    list: (path) => attempt(() => readdirSync(path).sort()) ?? [],
    linkName: (path) => attempt(() => basename(readlinkSync(path))),
    write: (path, text) => attempt(() => writeFileSync(path, text)),
    keepRunning: (daemon, signal) => void keepRunning(daemon, say, signal),
    addresses: () =>
      Object.fromEntries(Object.entries(networkInterfaces()).map(([name, all]) => [name, (all ?? []).flatMap(({ cidr }) => cidr ?? [])])),
    ipmi: askIpmi,
    openDisk: openLinuxDisk,
    async reboot() {
      await run('sync', []);
      await run('reboot', ['-f']);
    },
    pause: (ms, signal) => pause(ms, undefined, { signal }),
    now: () => performance.now(),
  };
}

// Most of what is asked for is absent on most machines.
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

async function keepRunning({ command, args, onLine }: Daemon, say: Machine['say'], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const why = await new Promise<string>((resolve) => {
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'], signal });
      createInterface({ input: child.stdout }).on('line', onLine);
      child.once('error', ({ message }) => resolve(message));
      child.once('exit', (code, killedBy) => resolve(`it ended with ${code ?? killedBy}`));
    });
    if (signal.aborted) return;
    say(`${command} ${args.join(' ')}: ${why}; starting it again`, 'error');
    await pause(RESTART_PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
}
