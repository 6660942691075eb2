import { createWriteStream, type WriteStream } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createLogger, definePlugin, type Plugin, type ServerEvent } from '@sidero/core';
import { agent } from '@sidero/plugin-agent';
import { apiserver } from '@sidero/plugin-apiserver';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps } from '@sidero/plugin-caps';
import { ipmi } from '@sidero/plugin-ipmi';
import { managementApi } from '@sidero/plugin-management-api';
import { redfish } from '@sidero/plugin-redfish';
import { siderolink } from '@sidero/plugin-siderolink';
import { wakeOnLan } from '@sidero/plugin-wake-on-lan';
import * as z from 'zod';
import { SimulatedBmc } from '../bmc/simulated-bmc.ts';
import { fleet } from '../machine/fleet.ts';
import { simulatedPower } from '../machine/simulated-power.ts';
import { startPlane } from '../plane.ts';
import { writeStandIns } from '../stand-ins.ts';
import type { DemoOptions } from './options.ts';
import { ENVIRONMENT } from './rack-cluster.ts';
import { RackOnceClean } from './rack-once-clean.ts';
import { INSTALLED } from './standing.ts';
import { both, Standings } from './standings.ts';
import type { DemoWorld, LogLine } from './world.ts';

/** Speed of a machine's link for downloads over HTTP: 400 Mbit/s, so that the eye can follow. */
const BYTES_PER_SECOND = 50_000_000;

const NOT_ENCRYPTED = 'SideroLink goes over loopback here, without WireGuard: nothing is encrypted';

/** About what Debian's cloud kernel and our initial RAM disk have. */
const AGENT_SIZES = { kernelBytes: 10_000_000, initrdBytes: 30_000_000 };

/**
 * A management plane in this process, with every plugin there is, and simulated machines with a power driver of their own. Needs no root and no
 * network but loopback: SideroLink goes without WireGuard here. Its files go into `folder`, which is empty.
 */
export async function simulatedWorld(options: DemoOptions, folder: string): Promise<DemoWorld> {
  const log = await prepare(folder);
  const bmcs = new Map<string, SimulatedBmc>();
  const listeners = new Set<(line: LogLine) => void>();
  const { sidero, plane } = await start(options, { folder, log, plugins: [simulatedPower((uuid) => bmcs.get(uuid)), logTap(listeners)] });
  const machines = fleet(options.servers, { plane, seed: 'demo', bytesPerSecond: BYTES_PER_SECOND, isTalos: true });
  for (const machine of machines) bmcs.set(machine.uuid, new SimulatedBmc({ chassis: machine }));
  const standings = new Standings(sidero.resources);
  listeners.add(({ uuid }) => standings.hears(uuid));
  const rack = new RackOnceClean(sidero.resources, machines);
  return {
    title: `Sidero Metal: ${machines.length} simulated machines network-boot from 127.0.0.1:${plane.http} (HTTP, gRPC) and :${plane.tftp} (TFTP)\n${NOT_ENCRYPTED}`,
    machines,
    goal: INSTALLED,
    standings: () => standings.all(),
    watchStandings: (onStanding, signal) =>
      standings.watch(
        both(onStanding, (name, standing) => rack.look(name, standing)),
        signal,
      ),
    onLog: (listener) => void listeners.add(listener),
    kubeconfig: join(folder, 'kubeconfig'),
    logs: join(folder, 'sidero.log'),
    done: Promise.race([sidero.done, rack.failed]),
    powerOn: (signal) => {
      // Whatever stops a machine shows in its state.
      for (const machine of machines) machine.run(signal).catch(() => undefined);
    },
    async [Symbol.asyncDispose]() {
      for (const machine of machines) machine.cutPower('the demo is over');
      await rack[Symbol.asyncDispose]();
      await sidero.close();
      log.end();
    },
  };
}

async function prepare(folder: string): Promise<WriteStream> {
  const dataDir = resolve(folder);
  await writeStandIns(dataDir, AGENT_SIZES);
  await cp(join(dataDir, 'env', 'agent-amd64'), join(dataDir, 'env', ENVIRONMENT), { recursive: true });
  return createWriteStream(join(dataDir, 'sidero.log'));
}

function start(options: DemoOptions, given: { readonly folder: string; readonly log: WriteStream; readonly plugins: readonly Plugin[] }) {
  const base = options.portBase;
  return startPlane({
    dataDir: resolve(given.folder),
    log: createLogger({ destination: given.log }),
    ports: base === undefined ? undefined : { http: base, tftp: base + 1, dhcp: base + 3, logs: base + 4, events: base + 5 },
    plugins: ({ tftp, logs, events }) => [
      apiserver({ port: base === undefined ? 0 : base + 2 }),
      agent({ autoAccept: true }),
      bootIpxe({ tftpPort: tftp, tftpAddress: '127.0.0.1' }),
      ...given.plugins,
      redfish(),
      ipmi(),
      managementApi(),
      wakeOnLan(),
      siderolink({ tunnel: 'loopback', logPort: logs, eventPort: events }),
      caps({ standalone: true }),
    ],
  });
}

/** Hands on what machines log. */
function logTap(listeners: ReadonlySet<(line: LogLine) => void>): Plugin {
  const tell = (event: ServerEvent): void => {
    if (event.type !== 'log' || !event.uuid) return;
    const { msg } = JSON.parse(event.line) as { msg?: string };
    for (const listener of listeners) listener({ uuid: event.uuid, text: (msg ?? '').split('\n', 1)[0]! });
  };
  const plugin = definePlugin({ name: 'demo', options: z.strictObject({}), setup: ({ hooks }) => hooks.stream.tap('demo', tell) });
  return plugin();
}
