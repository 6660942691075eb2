import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger, createMetrics, createResourceClient, isTrue, type Kind, type KubeObject, SecretKind, ServerBindingKind } from '@sidero/core';
import { clusterApiKinds, MetalClusterKind, MetalMachineKind } from '@sidero/plugin-caps';
import { anEnvironment, aServer, createWithStatus } from '@sidero/testing';
import { createNetwork, type MachineOptions, type Network, qemuSupport, SwitchedMachine } from '@sidero/testing/qemu';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AGENT_IMAGE, type Site, startSite } from '../pxe-site.ts';
import { ensureTalosImage } from '../talos/image.ts';
import { isTalosBuilt } from '../talos/program.ts';
import type { Observed } from './observer.ts';

const isPossible = isTalosBuilt && qemuSupport(['bios']).length === 0 && existsSync(AGENT_IMAGE) && existsSync('/usr/bin/wireguard-go');
/** An emulated machine needs half a minute from power-on to a program of ours, twice; hosts are busy. */
const PATIENCE_MS = 280_000;
const UUID = '4c4c4544-0051-4c10-8000-b0c0ffee0006';
const IMAGE_FOLDER = 'talos-image';
const NAME = 'rack-1-worker-0';
const NAMES = { server_uuid: UUID, namespace: 'default', cluster: 'rack-1', metal_machine: NAME, machine: NAME };
const { cluster, machine: ofCluster } = clusterApiKinds('v1beta1');
const CERTIFICATE = Buffer.from('certificate').toString('base64');
const CONFIG = `version: v1alpha1
machine:
  type: worker
  token: abcdef.0123456789abcdef
  ca: { crt: ${CERTIFICATE}, key: "" }
cluster:
  id: xeB5tOgb4gE-fzYkUnCtZK-pTUzYi13tMzMCYCsbBjQ=
  secret: c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=
  token: abcdef.0123456789abcdef
  clusterName: rack-1
  controlPlane: { endpoint: "https://10.77.0.2:6443" }
  ca: { crt: ${CERTIFICATE}, key: "" }
`;
const MACHINE: MachineOptions = {
  name: 'talos',
  firmware: 'bios',
  uuid: UUID,
  mac: '52:54:00:77:06:01',
  serial: 'SN-0601',
  disks: [{ bus: 'virtio', sizeMiB: 96, serial: 'DISK-0601' }],
};

describe.skipIf(!isPossible)('a machine of QEMU, with the WireGuard of its own kernel', () => {
  const left = new AsyncDisposableStack();
  let network: Network;
  let site: Site;
  let machine: SwitchedMachine;
  let resources: ReturnType<typeof createResourceClient>;
  const streamFile = () => join(network.dir, 'stream');

  beforeAll(async () => {
    const image = await ensureTalosImage();
    network = left.use(await createNetwork());
    await mkdir(join(network.dir, 'data/env'), { recursive: true });
    await cp(image.folder, join(network.dir, 'data/env', IMAGE_FOLDER), { recursive: true });
    const plugins = {
      caps: { standalone: true },
      siderolink: { interface: `sq${process.pid}`, documents: 'always' },
      [join(import.meta.dirname, 'observer.ts')]: { file: streamFile(), bringsKinds: false },
    };
    site = left.use(await startSite(network, { mode: 'full', range: ['10.77.0.50', '10.77.0.250'] }, { plugins }));
    const log = createLogger({ level: 'silent' });
    resources = createResourceClient({ kubeConfig: () => site.kubeConfig, log, metrics: createMetrics(), component: 'test' });
    left.defer(() => resources.close());
    machine = left.use(new SwitchedMachine(network, MACHINE));
    await makeCluster();
  });
  afterAll(() => left.disposeAsync());

  function imageUrl(file: string): string {
    return `http://${network.address}:8081/env/${IMAGE_FOLDER}/${file}`;
  }

  /** One worker on the one server, which was registered and wiped before. */
  async function makeCluster(): Promise<void> {
    const args = ['console=ttyS0', 'loglevel=3', 'panic=10', 'talos.platform=metal'];
    const spec = { kernel: { url: imageUrl('vmlinuz'), args }, initrd: { url: imageUrl('initramfs.xz') } };
    const install = `machine: {install: {disk: /dev/vda, image: "${imageUrl('disk.img')}"}}`;
    await createWithStatus(resources, anEnvironment({ metadata: { name: 'talos' }, spec }));
    const server = { accepted: true, environmentRef: { name: 'talos' }, strategicPatches: [install] };
    await createWithStatus(resources, aServer({ metadata: { name: UUID }, spec: server }));
    const value = Buffer.from(CONFIG).toString('base64');
    await resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'default', name: NAME }, data: { value } });
    const infrastructure = (kind: string, name: string) => ({ apiVersion: MetalMachineKind.apiVersion, kind, name });
    const make = (kind: Kind<KubeObject>, name: string, given: object) => {
      const object = { apiVersion: kind.apiVersion, kind: kind.kind, metadata: { namespace: 'default', name }, spec: given };
      return resources.create(kind, object);
    };
    await make(cluster, 'rack-1', { infrastructureRef: infrastructure('MetalCluster', 'rack-1') });
    await make(MetalClusterKind, 'rack-1', { controlPlaneEndpoint: { host: '10.77.0.2', port: 6443 } });
    await make(MetalMachineKind, NAME, { serverRef: { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', name: UUID } });
    const bootstrap = { dataSecretName: NAME };
    await make(ofCluster, NAME, { clusterName: 'rack-1', bootstrap, infrastructureRef: infrastructure('MetalMachine', NAME) });
  }

  const until = (assertion: () => Promise<void> | void) =>
    vi.waitFor(assertion, { timeout: PATIENCE_MS, interval: 500 }).catch((thrown: Error) => {
      const told = ['--- machine', ...machine.lines.slice(-40), '--- sidero', ...site.plane.lines.slice(-30)];
      throw new Error(`${thrown.message}\n${told.join('\n')}`, { cause: thrown });
    });

  function observed(type: Observed['type']): readonly Record<string, unknown>[] {
    if (!existsSync(streamFile())) return [];
    const lines = readFileSync(streamFile(), 'utf8').trimEnd().split('\n');
    return lines
      .map((line) => JSON.parse(line) as Observed)
      .flatMap((one) => (one.type === type ? [JSON.parse(one.line) as Record<string, unknown>] : []));
  }

  test(
    'boots from the network, installs, boots from its disk, and its kernel log and events carry the names of cluster and machine all the way',
    async () => {
      await until(async () => expect(await resources.get(ServerBindingKind, { name: UUID }, { live: true })).toBeDefined());
      await machine.powerOn({ device: 'network', isPersistent: false });
      await until(() => expect(machine.lines.join('\n')).toMatch(/"event":"running"/));
      await until(async () => {
        const binding = await resources.get(ServerBindingKind, { name: UUID }, { live: true });
        for (const type of ['TalosConfigLoaded', 'TalosConfigValidated', 'TalosInstalled'])
          expect(isTrue(binding?.status?.conditions, type), type).toBe(true);
        expect(binding!.spec!.addresses).toContainEqual(expect.stringMatching(/^10\.77\.0\./));
      });
      await until(() => expect(sequences(observed('talos'))).toEqual(expect.arrayContaining(['install NOOP', 'boot START', 'boot STOP'])));
      await until(() => expect(starts(observed('log'))).toHaveLength(2));
      for (const record of [...observed('log'), ...observed('talos')]) expect(record).toMatchObject(NAMES);
    },
    2 * PATIENCE_MS,
  );

  function sequences(events: readonly Record<string, unknown>[]): readonly string[] {
    return events.filter(({ sequence }) => sequence).map(({ sequence, action }) => `${String(sequence)} ${String(action)}`);
  }

  /** Of each boot, the line that Linux begins its log with. */
  function starts(log: readonly Record<string, unknown>[]): readonly unknown[] {
    return log.filter(({ msg, facility }) => facility === 'kern' && /^Linux version \d/.test(String(msg)));
  }
});
