import { existsSync } from 'node:fs';
import {
  type Environment,
  EnvironmentKind,
  isTrue,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  type ServerClass,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import type { MetalMachine } from '@sidero/plugin-caps';
import { ipmiSimSupport } from '@sidero/testing/bmc';
import { acceptWithBmc, createNetwork, qemuSupport } from '@sidero/testing/qemu';
import { freePorts } from '@sidero/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AGENT_IMAGE } from '../pxe-site.ts';
import { isPossible } from '../sidero-on-kubernetes.ts';
import { ensureTalosImage } from '../talos/image.ts';
import { isTalosBuilt } from '../talos/program.ts';
import { generateCluster } from './clusterctl.ts';
import { isClusterApiBuilt } from './parts.ts';
import { type QemuManagement, startQemuManagement } from './qemu-management.ts';
import { type QemuRack, rackMachines } from './qemu-rack.ts';
import { WorkloadCluster } from './workload-cluster.ts';

const NAME = 'talos';
/** Emulated machines need half a minute from power-on to a program of ours; hosts are busy. */
const PATIENCE_MS = 400_000;
const TEST_MS = 3 * PATIENCE_MS;
const STEPS: readonly string[] = ['config', 'installed', 'reboot', 'running'];
const isBuilt = isPossible && isClusterApiBuilt() && isTalosBuilt && existsSync(AGENT_IMAGE);
const hasMachines = qemuSupport(['bios']).length === 0 && ipmiSimSupport().length === 0 && existsSync('/usr/bin/wireguard-go');

interface Machine {
  readonly spec: { readonly providerID?: string };
  readonly status?: { readonly phase?: string; readonly nodeRef?: { readonly name: string } };
}

describe.skipIf(!isBuilt || !hasMachines)("a cluster of one and two machines with real firmware, Talos' real providers, and SideroLink", () => {
  const left = new AsyncDisposableStack();
  let management: QemuManagement;
  let workload: WorkloadCluster;
  let rack: QemuRack;

  beforeAll(async () => {
    const [port = 0] = await freePorts(1);
    const network = left.use(await createNetwork());
    workload = left.use(new WorkloadCluster({ name: 'rack-1', port, sideroLink: 'real', management: () => management }));
    await network.bring(port);
    management = left.use(await startQemuManagement(network, await ensureTalosImage()));
    const firmwares = ['bios', 'bios', 'bios'] as const;
    rack = left.use(await rackMachines(network, { firmwares, onEvent: (event) => workload.tell(event) }));
  }, TEST_MS);

  afterAll(() => left.disposeAsync());

  /** Waits for something; says what everybody said when it does not come. */
  const until = (assertion: () => Promise<void> | void) =>
    vi
      .waitFor(
        async () => {
          await workload.settled();
          await assertion();
        },
        { timeout: PATIENCE_MS, interval: 1000 },
      )
      .catch((thrown: Error) => {
        const told = [
          ...rack.events.slice(-20).map((event) => JSON.stringify(event)),
          ...rack.racked.flatMap(({ machine }) => [`--- ${machine.options.name}`, ...machine.lines.slice(-12)]),
          '--- sidero',
          ...management.sidero.lines.slice(-30),
          management.clusterApi.said(),
        ];
        throw new Error(`${thrown.message}\n${told.join('\n')}`, { cause: thrown });
      });
  const uuids = () => rack.racked.map(({ machine }) => machine.options.uuid);
  const providerIds = () => uuids().map((uuid) => `sidero://${uuid}`);
  const servers = (): Promise<readonly Server[]> => management.resources.list(ServerKind, {}, { live: true });
  const bindings = (): Promise<readonly ServerBinding[]> => management.resources.list(ServerBindingKind, {}, { live: true });
  const each = <T>(value: T): T[] => uuids().map(() => value);
  const disksAreEmpty = async () => {
    for (const uuid of uuids()) {
      const disk = await rack.disk(uuid);
      expect(disk.equals(Buffer.alloc(disk.length)), uuid).toBe(true);
    }
  };
  const allRest = () =>
    until(async () => {
      expect((await servers()).map(({ status }) => [status?.isClean, status?.power])).toEqual(each([true, 'off']));
      expect(rack.racked.map(({ machine }) => machine.isOn())).toEqual(each(false));
    });

  test(
    'machines that are switched on register; accepted, they are wiped and off',
    async () => {
      await rack.ipmitool('chassis', 'power', 'on');
      await until(async () => expect((await servers()).map(({ spec }) => spec?.accepted)).toEqual(each(false)));
      for (const { machine, access } of rack.racked) await acceptWithBmc(management.resources, machine.options.uuid, access);
      await allRest();
      await disksAreEmpty();
    },
    TEST_MS,
  );

  test(
    'a template becomes a cluster: they boot, install Talos, boot it from their disks, and run',
    async () => {
      await management.resources.create<Environment>(EnvironmentKind, {
        apiVersion: 'metal.sidero.dev/v1alpha2',
        kind: 'Environment',
        metadata: { name: NAME },
        spec: {
          kernel: {
            url: management.imageUrl('vmlinuz'),
            args: ['console=ttyS0', 'loglevel=3', 'panic=10', 'initrd=initramfs.xz', 'talos.platform=metal'],
          },
          initrd: { url: management.imageUrl('initramfs.xz') },
        },
      });
      await management.resources.create<ServerClass>(ServerClassKind, {
        apiVersion: 'metal.sidero.dev/v1alpha2',
        kind: 'ServerClass',
        metadata: { name: NAME },
        spec: {
          environmentRef: { name: NAME },
          strategicPatches: [`machine: {install: {disk: /dev/vda, image: "${management.imageUrl('disk.img')}"}}`],
        },
      });
      const target = { kubeconfigPath: management.api.kubeconfigPath };
      const objects = await generateCluster(target, { name: 'rack-1', port: workload.port, serverClass: NAME, controlPlanes: 1, workers: 2 });
      await management.kubectl(['apply', '-n', 'default', '-f', '-'], objects);
      await until(async () => {
        const machines = await management.list<Machine>('machines.cluster.x-k8s.io');
        expect(machines.map(({ status }) => status?.phase)).toEqual(each('Running'));
        expect(machines.map(({ spec }) => spec.providerID ?? '').toSorted()).toEqual(providerIds());
      });
      const { stdout } = await workload.api.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[*].spec.providerID}']);
      expect(stdout.split(' ').toSorted()).toEqual(providerIds());
    },
    TEST_MS,
  );

  test('each was installed once, and runs what its disk had, which says nothing of where a configuration is', () => {
    for (const { machine } of rack.racked) {
      const told = rack.events.filter(({ uuid, event }) => uuid === machine.options.uuid && STEPS.includes(event));
      expect(told.map(({ event }) => event)).toEqual(STEPS);
      const { detail } = told.find(({ event }) => event === 'running')!;
      expect(detail).toMatch(/talos\.platform=metal/);
      expect(detail).not.toMatch(/talos\.config|siderolink/);
      // It asked the network first, and was told to look on its disk.
      expect(machine.starts.at(-1)).toBe('network');
      expect(machine.lines.join('\n')).toContain('Welcome to GRUB!');
    }
  });

  test(
    'what Talos told came through the tunnel of the kernel, and stands on its MetalMachine',
    async () => {
      const expected = ['TalosConfigLoaded', 'TalosConfigValidated', 'TalosInstalled', 'ProviderSet', 'Ready'];
      await until(async () => {
        for (const { status } of await management.list<MetalMachine>('metalmachines')) {
          expect(expected.filter((type) => !isTrue(status?.conditions, type))).toEqual([]);
          expect(status?.addresses).toContainEqual({ type: 'InternalIP', address: expect.stringMatching(/^10\.77\.0\./) as string });
        }
        expect((await servers()).map(({ status }) => isTrue(status?.conditions, 'PXEBooted'))).toEqual(each(true));
      });
    },
    TEST_MS,
  );

  test(
    'when the cluster is deleted they come back, wiped byte for byte, and off',
    async () => {
      await management.kubectl(['delete', 'cluster', 'rack-1', '-n', 'default', '--wait=false']);
      await until(async () => expect(await bindings()).toEqual([]));
      await allRest();
      await disksAreEmpty();
      await until(async () => expect(await management.list('clusters.cluster.x-k8s.io')).toEqual([]));
    },
    TEST_MS,
  );
});
