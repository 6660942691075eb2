import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, type ChildOptions, startChild } from './child.ts';

export interface ManagementPlaneOptions {
  /** The sidero.config.ts to start with. */
  readonly config: string;
  readonly dataDir: string;
  /** More flags of `sidero start`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly onText?: (text: string) => void;
}

/** A running `sidero start`; its lines are its log. */
export interface ManagementPlane extends Child {
  /** Kubeconfig of its embedded API; forward its port to use it from outside. */
  readonly kubeconfig: string;
}

/** Where programs are started: a network, or this host. */
export interface Place {
  start(command: readonly [string, ...string[]], options: ChildOptions): Promise<Child>;
}

/** This host, with its own network. */
export const thisHost: Place = { start: startChild };

/**
 * Runs `sidero start` of this source tree, and returns once it serves. In a network it sees that link only. It gets none
 * of the caller's KUBECONFIG. @throws SIDERO_QEMU_LINE_MISSING when it does not come up; the error shows its log
 */
export async function startManagementPlane(place: Place, options: ManagementPlaneOptions): Promise<ManagementPlane> {
  const { config, dataDir, args = [] } = options;
  // The package's entry is src/index.ts or dist/index.js; the launcher lies beside both.
  const launcher = join(fileURLToPath(import.meta.resolve('@sidero/core')), '../../bin/sidero.js');
  const command = [process.execPath, '--conditions=source', launcher, '--config', config, 'start', '--data-dir', dataDir, ...args] as const;
  const child = await place.start(command, {
    name: 'sidero start',
    env: { KUBECONFIG: undefined, ...options.env },
    ...(options.onText ? { onText: options.onText } : {}),
  });
  await child.line(/sidero serves/, { timeoutMs: 120_000 }).catch(async (thrown: unknown) => {
    await child.stop();
    throw thrown;
  });
  return { ...child, kubeconfig: join(dataDir, 'kubeconfig') };
}
