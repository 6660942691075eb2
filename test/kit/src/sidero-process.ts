import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { failure } from './errors.ts';
import type { Plane } from './machine/machine.ts';
import { freePorts, type PlanePorts } from './plane.ts';

export interface SideroProcessOptions {
  /** The sidero.config.ts to start with. */
  readonly config: string;
  readonly dataDir: string;
  /** Default: free ones. */
  readonly ports?: PlanePorts;
  /** Variables besides those of the ports. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** A running `sidero start`, on loopback and on its own embedded API. */
export interface SideroProcess extends AsyncDisposable {
  readonly pid: number;
  readonly plane: Plane & PlanePorts;
  /** Kubeconfig of its API. */
  readonly kubeconfig: string;
  /** From the start of the process until it said that it serves. */
  readonly readyMs: number;
  /** Its log so far, one JSON object a line. */
  readonly log: readonly string[];
  /** Ends it by a signal. Resolves when it is gone, with its exit code or signal. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** Starts `sidero start` of this source tree, and returns once it serves. @throws SIDERO_TEST_PROCESS_ENDED */
export async function startSideroProcess(options: SideroProcessOptions): Promise<SideroProcess> {
  const ports = options.ports ?? (await freePorts());
  const startedMs = performance.now();
  const child = spawn(process.execPath, ['--conditions=source', launcher(), '--config', options.config, 'start'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...variables(options.dataDir, ports), ...options.variables },
  });
  const log: string[] = [];
  await serving(child, log);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    }
    return child.exitCode ?? child.signalCode!;
  };
  return {
    pid: child.pid!,
    plane: { host: '127.0.0.1', ...ports },
    kubeconfig: join(options.dataDir, 'kubeconfig'),
    readyMs: performance.now() - startedMs,
    log,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop('SIGKILL')),
  };
}

// The package's start entry is src/start.ts or dist/start.js; the launcher lies beside both folders.
const launcher = () => join(fileURLToPath(import.meta.resolve('@sidero/core/start')), '../../bin/sidero.js');

const variables = (dataDir: string, { http, tftp }: PlanePorts): Record<string, string> => ({
  SIDERO_CONTROLLER_MANAGER_API_ENDPOINT: '127.0.0.1',
  SIDERO_CONTROLLER_MANAGER_API_PORT: String(http),
  SIDERO_CONTROLLER_MANAGER_AUTO_ACCEPT_SERVERS: 'true',
  SIDERO_APISERVER_PORT: '0',
  SIDERO_TFTP_PORT: String(tftp),
  SIDERO_DATA_DIR: dataDir,
  SIDERO_HEALTH_ADDRESS: 'off',
  CAPI_DIAGNOSTICS_ADDRESS: 'off',
});

async function serving(child: ChildProcess, log: string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const lines = createInterface({ input: child.stderr! });
  lines.on('line', (line) => {
    log.push(line);
    if (line.includes('sidero serves')) resolve();
  });
  lines.on('close', () => reject(failure('SIDERO_TEST_PROCESS_ENDED', { what: 'sidero start', log: log.slice(-10).join('\n') })));
  await promise;
}
