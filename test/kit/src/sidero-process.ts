import type { Plane } from './machine/machine.ts';
import { freePlanePorts, type PlanePorts } from './plane.ts';
import { type ManagementPlane, startManagementPlane, thisHost } from './qemu/management-plane.ts';

export interface SideroProcessOptions {
  /** The sidero.config.ts to start with. */
  readonly config: string;
  readonly dataDir: string;
  /** Default: free ones. */
  readonly ports?: PlanePorts;
}

/** A `sidero start` of its own, on loopback and on its own embedded API; accepts every server. */
export interface SideroProcess extends ManagementPlane {
  readonly plane: Plane;
  readonly ports: PlanePorts;
  /** From the start of the process until it said that it serves. */
  readonly readyMs: number;
  /** Ends it without a chance to clean up. Resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts `sidero start` of this source tree, and returns once it serves. @throws what `startManagementPlane` throws */
export async function startSideroProcess({ config, dataDir, ports }: SideroProcessOptions): Promise<SideroProcess> {
  const used = ports ?? (await freePlanePorts());
  const startedMs = performance.now();
  const child = await startManagementPlane(thisHost, { config, dataDir, env: variables(used) });
  const kill = async () => {
    process.kill(child.pid, 'SIGKILL');
    await child.exited;
  };
  return { ...child, ports: used, plane: { host: '127.0.0.1', http: used.http, tftp: used.tftp }, readyMs: performance.now() - startedMs, kill };
}

const variables = ({ http, tftp }: PlanePorts): Record<string, string> => ({
  SIDERO_CONTROLLER_MANAGER_API_ENDPOINT: '127.0.0.1',
  SIDERO_CONTROLLER_MANAGER_API_PORT: String(http),
  SIDERO_CONTROLLER_MANAGER_AUTO_ACCEPT_SERVERS: 'true',
  SIDERO_APISERVER_PORT: '0',
  SIDERO_TFTP_PORT: String(tftp),
  SIDERO_SIDEROLINK_TUNNEL: 'loopback',
  SIDERO_HEALTH_ADDRESS: 'off',
  CAPI_DIAGNOSTICS_ADDRESS: 'off',
});
