import { checkConfig, type Logger, type Plugin, type SideroConfig, type Variables } from '@sidero/core';
import { type RunningSidero, startSidero } from '@sidero/core/start';
import { freePorts } from './free-ports.ts';
import type { Plane } from './machine/machine.ts';

/** Ports on 127.0.0.1 that a management plane for simulated machines needs. */
export interface PlanePorts {
  /** TCP: HTTP and gRPC. */
  readonly http: number;
  /** UDP. */
  readonly tftp: number;
  /** UDP of DHCP, for those who want it. */
  readonly dhcp: number;
  /** TCP of kernel logs and of Talos' events, for those who have SideroLink. */
  readonly logs: number;
  readonly events: number;
}

export interface PlaneOptions {
  /** Every plugin, told the ports. */
  readonly plugins: (ports: PlanePorts) => readonly Plugin[];
  readonly dataDir: string;
  /** Default: free ones. */
  readonly ports?: PlanePorts | undefined;
  readonly site?: Omit<SideroConfig, 'plugins' | 'dataDir' | 'apiPort' | 'endpoint'> | undefined;
  readonly variables?: Variables | undefined;
  readonly log: Logger;
  readonly now?: (() => Date) | undefined;
}

/** A management plane that runs in this process, on loopback only. */
export interface RunningPlane {
  readonly sidero: RunningSidero;
  /** As machines that know their boot file find it. */
  readonly plane: Required<Omit<Plane, 'dhcp'>>;
  /** Where DHCP answers, if a plugin was told to. */
  readonly dhcpPort: number;
}

/** Starts a management plane without touching any cluster: no kubeconfig is looked for. @throws what `startSidero` throws */
export async function startPlane(options: PlaneOptions): Promise<RunningPlane> {
  const ports = options.ports ?? (await freePlanePorts());
  const sidero = await start(options, ports);
  return { sidero, plane: { host: '127.0.0.1', http: ports.http, tftp: ports.tftp }, dhcpPort: ports.dhcp };
}

async function start(options: PlaneOptions, ports: PlanePorts): Promise<RunningSidero> {
  // The default Environment names files on the internet.
  const variables = { SIDERO_FETCH_ENVIRONMENTS: 'false', ...options.variables };
  const config = checkConfig(
    {
      healthAddress: 'off',
      diagnosticsAddress: 'off',
      ...options.site,
      endpoint: '127.0.0.1',
      apiPort: ports.http,
      dataDir: options.dataDir,
      plugins: options.plugins(ports),
    },
    { file: 'test kit', variables },
  );
  return await startSidero({ config, log: options.log, variables, host: '127.0.0.1', ...(options.now && { now: options.now }) });
}

/** Free ones for a management plane, each time others. @throws what `freePorts` throws */
export async function freePlanePorts(): Promise<PlanePorts> {
  const [http, tftp, dhcp, logs, events] = (await freePorts(5)) as [number, number, number, number, number];
  return { http, tftp, dhcp, logs, events };
}
