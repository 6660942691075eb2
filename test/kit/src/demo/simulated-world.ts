import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createLogger, ServerKind } from '@sidero/core';
import { agent } from '@sidero/plugin-agent';
import { apiserver } from '@sidero/plugin-apiserver';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps } from '@sidero/plugin-caps';
import { ipmi } from '@sidero/plugin-ipmi';
import { managementApi } from '@sidero/plugin-management-api';
import { redfish } from '@sidero/plugin-redfish';
import { wakeOnLan } from '@sidero/plugin-wake-on-lan';
import { SimulatedBmc } from '../bmc/simulated-bmc.ts';
import { fleet } from '../machine/fleet.ts';
import { simulatedPower } from '../machine/simulated-power.ts';
import { startPlane } from '../plane.ts';
import { writeStandIns } from '../stand-ins.ts';
import type { DemoOptions } from './options.ts';
import { standingOf } from './standing.ts';
import type { DemoWorld } from './world.ts';

/** Speed of a machine's link for downloads over HTTP: 400 Mbit/s, so that the eye can follow. */
const BYTES_PER_SECOND = 50_000_000;

/** About what Debian's cloud kernel and our initial RAM disk have. */
const AGENT_SIZES = { kernelBytes: 10_000_000, initrdBytes: 30_000_000 };

/** A management plane in this process, with every plugin there is, and simulated machines with a power driver of their own. Needs no root and no network but loopback. */
export async function simulatedWorld(options: DemoOptions): Promise<DemoWorld> {
  const dataDir = resolve(options.dataDir);
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(dataDir, { recursive: true });
  const logFile = join(dataDir, 'sidero.log');
  const log = createWriteStream(logFile);
  await writeStandIns(dataDir, AGENT_SIZES);
  const base = options.portBase;
  const bmcs = new Map<string, SimulatedBmc>();
  const { sidero, plane } = await startPlane({
    dataDir,
    log: createLogger({ destination: log }),
    ports: base === undefined ? undefined : { http: base, tftp: base + 1, dhcp: base + 3 },
    plugins: ({ tftp }) => [
      apiserver({ port: base === undefined ? 0 : base + 2 }),
      agent({ autoAccept: true }),
      bootIpxe({ tftpPort: tftp, tftpAddress: '127.0.0.1' }),
      simulatedPower((uuid) => bmcs.get(uuid)),
      redfish(),
      ipmi(),
      managementApi(),
      wakeOnLan(),
      caps(),
    ],
  });
  const machines = fleet(options.servers, { plane, seed: 'demo', bytesPerSecond: BYTES_PER_SECOND });
  for (const machine of machines) bmcs.set(machine.uuid, new SimulatedBmc({ chassis: machine }));
  return {
    title: `Sidero Metal: ${machines.length} simulated machines network-boot from 127.0.0.1:${plane.http} (HTTP, gRPC) and :${plane.tftp} (TFTP)`,
    machines,
    async standings() {
      const servers = await sidero.resources.list(ServerKind, {}, { live: true });
      return new Map(servers.map((server) => [server.metadata.name, standingOf(server)]));
    },
    watchStandings: (onStanding, signal) =>
      sidero.resources.watch(ServerKind, ({ object }) => onStanding(object.metadata.name, standingOf(object)), signal),
    kubeconfig: join(options.dataDir, 'kubeconfig'),
    logs: join(options.dataDir, 'sidero.log'),
    done: sidero.done,
    powerOn: (signal) => {
      // Whatever stops a machine shows in its state.
      for (const machine of machines) machine.run(signal).catch(() => undefined);
    },
    async [Symbol.asyncDispose]() {
      for (const machine of machines) machine.cutPower('the demo is over');
      await sidero.close();
      log.end();
    },
  };
}
