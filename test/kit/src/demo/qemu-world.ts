import { createWriteStream, existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';
import type { Server } from '@sidero/core';
import { setTimeout as delay } from 'node:timers/promises';
import { failure } from '../errors.ts';
import { inventory } from '../machine/hardware.ts';
import { freePorts } from '../plane.ts';
import { createNetwork, type MachineOptions, type Network, qemuSupport, startManagementPlane } from '../qemu/index.ts';
import type { DemoOptions } from './options.ts';
import { QemuMachine } from './qemu-machine.ts';
import { standingOf } from './standing.ts';
import type { DemoWorld } from './world.ts';

/** What `npm run build:agent` makes. */
const AGENT_IMAGE = '.sidero/env/agent-amd64';
/** Between two looks at the API. */
const LOOK_MS = 500;

/** A management plane and QEMU machines with real firmware, on a network of their own that leads nowhere else. */
export async function qemuWorld(options: DemoOptions): Promise<DemoWorld> {
  refuseWithoutParts();
  const dataDir = resolve(options.dataDir);
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(join(dataDir, 'env'), { recursive: true });
  await cp(AGENT_IMAGE, join(dataDir, 'env/agent-amd64'), { recursive: true });
  const stack = new AsyncDisposableStack();
  try {
    const network = stack.use(await createNetwork());
    const plane = await startPlane(network, dataDir);
    stack.defer(() => plane.stop());
    const servers = await serversOf(network, plane.kubeconfig);
    const sizes = await sizesOf(AGENT_IMAGE);
    const machines = Array.from({ length: options.servers }, (_, index) => aMachine(network, { dataDir, index, sizes }));
    stack.defer(async () => void (await Promise.all(machines.map((machine) => machine.stop()))));
    return {
      title: `Sidero Metal: ${machines.length} QEMU machines with real firmware network-boot from ${network.address}, on a network of their own`,
      machines,
      standings: async () => new Map((await servers()).map((server) => [server.metadata.name, standingOf(server)])),
      async watchStandings(onStanding, signal) {
        for (;;) {
          for (const server of await servers()) onStanding(server.metadata.name, standingOf(server));
          await delay(LOOK_MS, undefined, { signal });
        }
      },
      kubeconfig: join(options.dataDir, 'kubeconfig'),
      logs: join(options.dataDir, '*.log'),
      done: plane.exited.then((how) => Promise.reject(new Error(`sidero start ended: ${how}`))),
      powerOn: (signal) => {
        for (const machine of machines) machine.start(signal);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (thrown) {
    await stack.disposeAsync();
    throw thrown;
  }
}

/** @throws SIDERO_DEMO_MACHINES_MISSING with everything that is missing and what to do about it */
function refuseWithoutParts(): void {
  const agent = existsSync(AGENT_IMAGE) ? [] : [{ what: 'the agent image', remedy: 'npm run build:agent' }];
  const missing = [...qemuSupport(), ...agent];
  if (missing.length === 0) return;
  throw failure('SIDERO_DEMO_MACHINES_MISSING', {
    problem: `missing: ${missing.map(({ what }) => what).join('; ')}`,
    fix: [...new Set(missing.map(({ remedy }) => remedy))].join('; then '),
  });
}

async function startPlane(network: Network, dataDir: string) {
  const config = join(dataDir, 'sidero.config.json');
  const plugin = (name: string, options: object) => ({ from: fileURLToPath(import.meta.resolve(`@sidero/plugin-${name}`)), options });
  const plugins = [
    // Its port is forwarded under the same number, so it is one that is free out here.
    plugin('apiserver', { port: (await freePorts()).http }),
    plugin('boot-ipxe', { dhcp: [{ interface: network.bridge, mode: 'full', range: ['10.77.0.50', '10.77.0.250'] }] }),
    plugin('agent', { autoAccept: true }),
  ];
  await writeFile(config, JSON.stringify({ endpoint: network.address, plugins }, undefined, 2));
  const log = createWriteStream(join(dataDir, 'sidero.log'));
  return await startManagementPlane(network, { config, dataDir, onText: (text) => void log.write(text) });
}

/** A function that lists the Servers. */
async function serversOf(network: Network, kubeconfig: string): Promise<() => Promise<readonly Server[]>> {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(await readFile(kubeconfig, 'utf8'));
  await network.forward(Number(new URL(kubeConfig.getCurrentCluster()!.server).port));
  const api = kubeConfig.makeApiClient(CustomObjectsApi);
  return async () => {
    const list = (await api.listClusterCustomObject({ group: 'metal.sidero.dev', version: 'v1alpha2', plural: 'servers' })) as { items: Server[] };
    return list.items;
  };
}

/** BIOS and UEFI in turn. */
function aMachine(network: Network, given: { dataDir: string; index: number; sizes: Readonly<Record<string, number>> }): QemuMachine {
  const { dataDir, index, sizes } = given;
  const { system } = inventory('qemu', index + 1);
  const firmware = index % 2 === 0 ? 'bios' : 'uefi';
  const log = createWriteStream(join(dataDir, `machine-${index + 1}.log`));
  const options: MachineOptions = {
    name: `${firmware}-${index + 1}`,
    firmware,
    uuid: system.uuid,
    serial: system.serialNumber,
    mac: `52:54:00:77:00:${(index + 1).toString(16).padStart(2, '0')}`,
    memoryMiB: 1024,
    disks: [{ bus: 'virtio', sizeMiB: 64, serial: `DISK-${index + 1}` }],
    onText: (text) => void log.write(text),
  };
  return new QemuMachine(network, options, sizes);
}

/** Bytes of the files in a directory. */
async function sizesOf(directory: string): Promise<Readonly<Record<string, number>>> {
  const names = await readdir(directory);
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, (await stat(join(directory, name))).size])));
}
