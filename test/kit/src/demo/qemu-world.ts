import { createWriteStream, existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KubeConfig } from '@kubernetes/client-node';
import { createLogger, createMetrics, createResourceClient, messageOf, type ResourceClient, ServerKind } from '@sidero/core';
import { makeCertificate } from '../bmc/certificate.ts';
import { ipmiSimSupport } from '../bmc/support.ts';
import { failure } from '../errors.ts';
import { inventory } from '../machine/hardware.ts';
import { freePorts } from '../free-ports.ts';
import {
  acceptWithBmc,
  createNetwork,
  type MachineOptions,
  type Network,
  qemuSupport,
  rackMachine,
  type RackedMachine,
  startManagementPlane,
} from '../qemu/index.ts';
import type { DemoOptions } from './options.ts';
import { QemuMachine } from './qemu-machine.ts';
import { LogSocket } from './log-socket.ts';
import { ENVIRONMENT, type RackWish } from './rack-cluster.ts';
import { RackOnceClean } from './rack-once-clean.ts';
import { CLEAN, INSTALLED } from './standing.ts';
import { both, Standings } from './standings.ts';
import type { DemoWorld } from './world.ts';

/** What `npm run build:agent` makes. */
const AGENT_IMAGE = '.sidero/env/agent-amd64';
/** What `npm run build:talos-stand-in` makes. With it, the machines go on to a cluster. */
const TALOS_IMAGE = '.sidero/talos-stand-in';
const WIREGUARD = '/usr/bin/wireguard-go';
const WITHOUT_TALOS = 'they are wiped and no more: npm run build:talos-stand-in (which needs Go) lets them go on to a cluster';
/** UDP port of the first machine's BMC; the others follow. */
const BMC_PORT = 6230;

/** A management plane, and QEMU machines with BMCs before them, on a network of their own that leads nowhere else. Their files go into `folder`, which is empty. */
export async function qemuWorld(options: DemoOptions, folder: string): Promise<DemoWorld> {
  refuseWithoutParts();
  const dataDir = resolve(folder);
  await mkdir(join(dataDir, 'env'), { recursive: true });
  await cp(AGENT_IMAGE, join(dataDir, 'env/agent-amd64'), { recursive: true });
  const isTalos = existsSync(TALOS_IMAGE);
  if (isTalos) await cp(TALOS_IMAGE, join(dataDir, 'env', ENVIRONMENT), { recursive: true });
  await using stack = new AsyncDisposableStack();
  const network = stack.use(await createNetwork());
  const plane = await startPlane(network, dataDir);
  stack.defer(() => plane.stop());
  const resources = await clientOf(network, plane.kubeconfig);
  stack.defer(() => resources.close());
  const sizes = await sizesOf(AGENT_IMAGE);
  const machines = Array.from({ length: options.servers }, (_, index) => aMachine(network, { dataDir, index, sizes }));
  const racked = new Map<string, RackedMachine>();
  for (const [index, { uuid, power }] of machines.entries()) racked.set(uuid, stack.use(await rackMachine(network, power, BMC_PORT + index)));
  const owner = new AbortController();
  stack.defer(() => owner.abort());
  const owned = acceptAll(resources, racked, owner.signal);
  const standings = new Standings(resources);
  const rack = stack.use(new RackOnceClean(resources, machines, await wishOf(network)));
  const logs = new LogSocket(join(dataDir, 'stream/logs.sock'), owner.signal);
  logs.onLine(({ uuid }) => standings.hears(uuid));
  const kept = stack.move();
  return {
    title: `Sidero Metal: ${machines.length} QEMU machines with BMCs network-boot from ${network.address}, on a network of their own${isTalos ? '' : `\n${WITHOUT_TALOS}`}`,
    machines,
    goal: isTalos ? INSTALLED : CLEAN,
    standings: () => standings.all(),
    watchStandings: (onStanding, signal) =>
      standings.watch(isTalos ? both(onStanding, (name, standing) => rack.look(name, standing)) : onStanding, signal),
    onLog: (listener) => logs.onLine(listener),
    kubeconfig: join(folder, 'kubeconfig'),
    logs: join(folder, '*.log'),
    done: Promise.race([owned, rack.failed, plane.exited.then((how) => Promise.reject(new Error(`sidero start ended: ${how}`)))]),
    powerOn: () => {
      for (const machine of machines) machine.power.powerOn().catch((thrown: unknown) => machine.fail(messageOf(thrown)));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Accepts every machine that registers and names its BMC, as its owner would; never settles by itself unless that fails. */
function acceptAll(resources: ResourceClient, racked: ReadonlyMap<string, RackedMachine>, signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const seen = new Set<string>();
  const look = async (name: string) => {
    const access = racked.get(name)?.access;
    if (!access || seen.has(name)) return;
    seen.add(name);
    await acceptWithBmc(resources, name, access);
  };
  resources.watch(ServerKind, ({ object }) => void look(object.metadata.name).catch(reject), signal).catch(reject);
  return promise;
}

/** @throws SIDERO_DEMO_MACHINES_MISSING with everything that is missing and what to do about it */
function refuseWithoutParts(): void {
  const agent = existsSync(AGENT_IMAGE) ? [] : [{ what: 'the agent image', remedy: 'npm run build:agent' }];
  const hasTunnel = !existsSync(TALOS_IMAGE) || existsSync(WIREGUARD);
  const tunnel = hasTunnel ? [] : [{ what: 'wireguard-go', remedy: 'apt-get install --no-install-recommends wireguard-go' }];
  const missing = [...qemuSupport(), ...ipmiSimSupport(), ...agent, ...tunnel];
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
    plugin('apiserver', { port: (await freePorts(1))[0] }),
    plugin('boot-ipxe', { dhcp: [{ interface: network.bridge, mode: 'full', range: ['10.77.0.50', '10.77.0.250'] }] }),
    plugin('agent', { autoAccept: false }),
    plugin('redfish', {}),
    plugin('ipmi', {}),
    // Its sockets go by the name of the interface, whatever network that is in.
    plugin('siderolink', { interface: `demo${process.pid}` }),
    plugin('caps', { standalone: true }),
  ];
  await writeFile(config, JSON.stringify({ endpoint: network.address, plugins }, undefined, 2));
  const log = createWriteStream(join(dataDir, 'sidero.log'));
  return await startManagementPlane(network, { config, dataDir, onText: (text) => void log.write(text) });
}

async function clientOf(network: Network, kubeconfig: string) {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(await readFile(kubeconfig, 'utf8'));
  await network.forward(Number(new URL(kubeConfig.getCurrentCluster()!.server).port));
  const client = createResourceClient({
    kubeConfig: () => kubeConfig,
    log: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
    component: 'demo',
  });
  client.start(new AbortController().signal);
  return client;
}

/** What the stand-in for Talos boots with, and where it gets what it installs. */
async function wishOf({ address, dir }: Network): Promise<RackWish> {
  const { pem: cert, keyFile } = await makeCertificate(dir);
  const install = `{disk: /dev/vda, image: "http://${address}:8081/env/${ENVIRONMENT}/disk.img"}`;
  return {
    // A kernel that UEFI starts finds its initial RAM disk by name.
    kernelArgs: ['console=ttyS0', 'initrd=initramfs.xz', 'loglevel=3', 'panic=10', 'talos.platform=metal'],
    strategicPatches: [`machine: {install: ${install}}`],
    machineCa: { cert, key: await readFile(keyFile, 'utf8') },
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
    disks: [{ bus: 'virtio', sizeMiB: 96, serial: `DISK-${index + 1}`, content: 'noise' }],
    onText: (text) => void log.write(text),
  };
  return new QemuMachine(network, options, sizes);
}

/** Bytes of the files in a directory. */
async function sizesOf(directory: string): Promise<Readonly<Record<string, number>>> {
  const names = await readdir(directory);
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, (await stat(join(directory, name))).size])));
}
