import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { aBinding, FIXTURE_UUID } from '@sidero/testing';
import { qemuSupport, startMachine } from '@sidero/testing/qemu';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { isClusterApiBuilt } from './cluster-api/parts.ts';
import type { RunningContainer } from './image/start-container.ts';
import { type PodSite, startPodSite } from './image/start-pod-site.ts';
import { IMAGE, makeSite, type Site } from './image/make-site.ts';
import { type UnpackedImage, unpackImage } from './image/unpack-image.ts';
import { KUBERNETES_VERSION, testCache } from './kubernetes-parts.ts';
import { isTalosBuilt } from './talos/program.ts';
import { startTalosMachines, type TalosMachines } from './talos/talos-machines.ts';

const run = promisify(execFile);
const POD = '10.77.0.1';
const AGENT = join(import.meta.dirname, '../../.sidero/env/agent-amd64');
const FILES = [
  '/usr/bin/wireguard-go',
  '/usr/sbin/runc',
  '/usr/bin/umoci',
  '/usr/bin/skopeo',
  '/dev/net/tun',
  join(AGENT, 'vmlinuz'),
  join(testCache(), `kubernetes-${KUBERNETES_VERSION}`, 'kube-apiserver'),
];
const isPossible =
  process.getuid?.() === 0 &&
  process.arch === 'x64' &&
  isClusterApiBuilt() &&
  isTalosBuilt &&
  qemuSupport().length === 0 &&
  FILES.every((file) => existsSync(file));
/** Hosts are busy. */
const PATIENCE = { timeout: 90_000, interval: 100 };

describe.skipIf(!isPossible)('the image of a site', () => {
  let site: Site;
  let folder: string;
  let image: UnpackedImage;
  let told: string;
  let pod: PodSite;
  let talos: TalosMachines | undefined;
  const containers = new Map<string, RunningContainer>();
  const container = (name: string) => containers.get(name)!;
  const curl = (url: string, ...args: string[]) => pod.host.run(['curl', '--silent', '--show-error', '--max-time', '30', ...args, url]);

  beforeAll(async () => {
    site = await makeSite();
    folder = await mkdtemp(join(tmpdir(), 'sidero-image-'));
    told = await site.build('image.tar', ['--agent', AGENT]);
    image = await unpackImage(join(site.folder, 'image.tar'), folder);
    pod = await startPodSite({ image, components: await site.components() });
    for (const { name } of pod.pod.containers) containers.set(name, await pod.start(name));
    // For a kubelet it is ready then.
    await vi.waitFor(async () => {
      for (const one of containers.values()) expect(one.ended(), `${one.name} ended:\n${one.text()}`).toBeUndefined();
      expect(await curl(`http://${POD}:9440/readyz`, '--fail')).toBe('ok');
    }, PATIENCE);
  }, 300_000);
  afterAll(async () => {
    await talos?.[Symbol.asyncDispose]();
    await pod?.[Symbol.asyncDispose]();
    await site?.[Symbol.asyncDispose]();
    if (folder) await rm(folder, { recursive: true, force: true });
  }, 60_000);

  describe('as an archive', () => {
    const inspected = async (format: string) => {
      const { stdout } = await run('skopeo', ['inspect', `${format}:${join(site.folder, 'image.tar')}`]);
      return JSON.parse(stdout) as { Digest: string; Os: string; Architecture: string; Layers: readonly string[] };
    };

    test('is what skopeo takes for an OCI image, under the digest that was told', async () => {
      const { Digest, Os, Architecture } = await inspected('oci-archive');
      expect(told).toContain(`${IMAGE}@${Digest}`);
      expect(`${Os}/${Architecture}`).toBe('linux/amd64');
    });

    test('is what Docker loads, too', async () => {
      const [docker, oci] = [await inspected('docker-archive'), await inspected('oci-archive')];
      expect(docker.Layers).toHaveLength(oci.Layers.length);
    });

    test('is the same when it is built again', async () => {
      expect(await site.build('again.tar', ['--agent', AGENT])).toBe(told.replace('image.tar', 'again.tar'));
    });

    test('for arm64 is built here as well: all that runs in it is for that processor', async () => {
      await site.build('arm64.tar', ['--without-agent', '--platform', 'linux/arm64']);
      const { rootfs } = await unpackImage(join(site.folder, 'arm64.tar'), await mkdtemp(join(folder, 'arm64-')));
      const files = (await readdir(rootfs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
      const processors = new Map<string, number>();
      for (const { parentPath, name } of files) {
        const head = await readHead(join(parentPath, name));
        if (head.toString('latin1', 0, 4) === '\x7fELF') processors.set(name, head.readUInt16LE(18));
      }
      expect([...processors.keys()]).toEqual(expect.arrayContaining(['node', 'ip', 'wg', 'wireguard-go', 'busybox', 'libc.so.6', 'koffi.node']));
      // EM_AARCH64
      expect([...processors].filter(([, processor]) => processor !== 183)).toEqual([]);
    });

    test('has the licence of every package of Debian, and of Node', async () => {
      const packages = (await run('ls', [join(image.rootfs, 'var/lib/dpkg/status.d')])).stdout.trim().split('\n');
      const licences = packages.map((name) => join(image.rootfs, 'usr/share/doc', name, 'copyright'));
      expect(licences.filter((file) => !existsSync(file))).toEqual([]);
      expect(packages).toEqual(expect.arrayContaining(['busybox-static', 'ipxe', 'iproute2', 'libc6', 'wireguard-go', 'wireguard-tools']));
      expect(await readFile(join(image.rootfs, 'usr/share/doc/node/copyright'), 'utf8')).toContain('Node.js');
    });
  });

  describe('in the pod of the bundle', () => {
    test('has what the Deployment says of it', async () => {
      const isThere = (path: string) => existsSync(join(image.rootfs, path));
      for (const { image: name, command, workingDir, env } of pod.pod.containers) {
        expect(name).toBe(IMAGE);
        expect(await readdir(join(image.rootfs, workingDir))).toEqual([]);
        expect(isThere(join(dirname(workingDir), 'sidero.config.ts'))).toBe(true);
        expect(isThere(await readlink(join(image.rootfs, 'usr/local/bin', command[0]!)))).toBe(true);
        const dataDir = env.find(({ name: variable }) => variable === 'SIDERO_DATA_DIR')!.value!;
        expect(isThere(join(dataDir, 'env/agent-amd64/vmlinuz'))).toBe(true);
      }
      expect(image.config).toMatchObject({ Entrypoint: ['sidero'], Cmd: ['start'], WorkingDir: pod.pod.containers[0]!.workingDir });
      expect(image.config.User).toBeUndefined();
    });

    test('answers the probes', async () => {
      const manager = pod.pod.containers.find(({ name }) => name === 'manager')!;
      for (const probe of [manager.livenessProbe, manager.readinessProbe]) {
        const { containerPort } = manager.ports!.find(({ name }) => name === probe!.httpGet.port)!;
        expect(await curl(`http://${POD}:${containerPort}${probe!.httpGet.path}`, '--fail')).toBe('ok');
      }
    });

    test('runs with the rights of its containers, and no more', async () => {
      const status = async (name: string) => readFile(`/proc/${await container(name).pid()}/status`, 'utf8');
      const field = (text: string, name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(text)?.[1];
      const manager = await status('manager');
      // NET_BIND_SERVICE is 10, NET_ADMIN is 12.
      expect(Number(`0x${field(manager, 'CapEff')}`)).toBe((1 << 10) | (1 << 12));
      for (const name of ['serverlogs', 'serverevents']) {
        const follower = await status(name);
        expect(field(follower, 'Uid')).toMatch(/^65532\s/);
        expect(Number(`0x${field(follower, 'CapPrm')}`)).toBe(0);
        expect(field(follower, 'NoNewPrivs')).toBe('1');
      }
    });

    test("validates what the API is given, by the API's own call", async () => {
      const spec = { accepted: true, configPatches: [{ op: 'invalid', path: '/x' }] };
      const wrong = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: FIXTURE_UUID }, spec };
      await expect(pod.kubectl(['create', '-f', '-'], wrong)).rejects.toThrow(/is invalid: spec\.configPatches\.0\.op/);
    });

    test('hands out boot files, by TFTP and by HTTP, and the agent', async () => {
      const size = async (url: string) => Number(await curl(url, '--fail', '--output', '/dev/null', '--write-out', '%{size_download}'));
      const built = async (file: string) => (await stat(join(image.rootfs, file))).size;
      expect(await size(`tftp://${POD}/undionly.kpxe`)).toBe(await built('usr/lib/ipxe/undionly.kpxe'));
      expect(await size(`http://${POD}:8081/tftp/snp.efi`)).toBe(await built('usr/lib/ipxe/snponly.efi'));
      expect(await size(`http://${POD}:8081/tftp/ipxe.efi`)).toBe(await built('boot/ipxe.efi'));
      for (const file of ['vmlinuz', 'initramfs.xz'])
        expect(await size(`http://${POD}:8081/env/agent-amd64/${file}`)).toBe((await stat(join(AGENT, file))).size);
      const script = await curl(`http://${POD}:8081/ipxe?uuid=${FIXTURE_UUID}&mac=52-54-00-00-00-01&arch=x86_64`, '--fail');
      expect(script).toMatch(/^kernel \/env\/agent-amd64\/vmlinuz .*sidero\.endpoint=10\.77\.0\.1:8081/m);
    });

    test("has the site's own plugin", async () => {
      expect(await curl(`http://${POD}:8081/row`, '--fail')).toBe('a');
    });

    test('shows its metrics to nobody without a token', async () => {
      const manager = pod.pod.containers.find(({ name }) => name === 'manager')!;
      const { containerPort } = manager.ports!.find(({ name }) => name === 'metrics')!;
      const url = `https://${POD}:${containerPort}/metrics`;
      const status = (...args: string[]) => curl(url, '--insecure', '--output', '/dev/null', '--write-out', '%{http_code}', ...args);
      expect(await status()).toBe('401');
      expect(await status('--header', `Authorization: Bearer ${pod.api.token}`)).toBe('200');
    });

    test('has its end of the tunnel, and its followers show what machines say', async () => {
      await vi.waitFor(() => expect(container('manager').text()).toMatch(/"tunnel":"user-space".*SideroLink is up/), PATIENCE);
      talos = await joined(pod, container('manager').text());
      talos.log({ count: 3 });
      await vi.waitFor(() => expect(container('serverlogs').text()).toContain('line 3 of 3'), PATIENCE);
      talos.emit({ uuid: FIXTURE_UUID, message: 'SequenceEvent', fields: { sequence: 'boot', action: 'START' } });
      await vi.waitFor(() => expect(container('serverevents').text()).toContain('SequenceEvent'), PATIENCE);
    });

    test('goes on after its manager was killed, as by a lack of memory', async () => {
      await container('manager').remove();
      // The kubelet keeps network and volumes of the pod: a socket is left there.
      containers.set('manager', await pod.start('manager', { name: 'manager-again' }));
      await vi.waitFor(() => expect(container('manager').text()).toContain('SideroLink is up'), PATIENCE);
      // What a machine has sent into its old connection is lost.
      const again = () => {
        talos!.log({ count: 4 });
        expect(container('serverlogs').text()).toContain('line 4 of 4');
      };
      await vi.waitFor(again, { ...PATIENCE, interval: 1000 });
      expect(await curl(`http://${POD}:9440/readyz`, '--fail')).toBe('ok');
    });

    test('makes a Server of a bare machine that has never booted', async () => {
      const uuid = '4c4c4544-0042-4a10-8054-efc0ffee0001';
      const facts = { uuid, mac: '52:54:00:77:00:01', serial: 'SN-4711', memoryMiB: 1024 };
      await using machine = await startMachine(pod.network, { name: 'uefi', firmware: 'uefi', ...facts });
      const serial = () => pod.kubectl(['get', 'server', uuid, '-o', 'jsonpath={.spec.hardware.system.serialNumber}']);
      await vi.waitFor(async () => expect(await serial(), machine.lines.slice(-20).join('\n')).toBe('SN-4711'), { timeout: 240_000, interval: 500 });
      // By what the image has: iPXE, then the agent.
      for (const path of ['/boot.ipxe', '/env/agent-amd64/initramfs.xz'])
        expect(container('manager').text()).toMatch(new RegExp(`"path":"${path}","status":200,"address":"10\\.77\\.0\\.5`));
    });

    test("has what the kernel's WireGuard is set up with", async () => {
      // As the plugin does it, on a device of wireguard-go.
      const script = [
        'wireguard-go probe && wg genkey > /tmp/key',
        `cat /tmp/key | wg set probe listen-port 51900 private-key /dev/stdin`,
        'wg show probe && /usr/bin/ip link show dev probe && /usr/bin/ip link delete dev probe',
      ];
      const looking = await pod.start('manager', { name: 'probe', command: ['sh', '-c', script.join(' && ')] });
      expect(await looking.exited, looking.text()).toBe('code 0');
      expect(looking.text()).toMatch(/interface: probe\n {2}public key: \S{44}\n[\s\S]*probe: <POINTOPOINT/);
    });

    test('gives addresses by DHCP', async () => {
      const script = join(folder, 'udhcpc.sh');
      await writeFile(script, '#!/bin/sh\necho "$1 $ip $serverid $boot_file"\n', { mode: 0o755 });
      const client = ['busybox', 'udhcpc', '-i', 'br0', '-f', '-q', '-n', '-t', '20', '-T', '1', '-s', script] as const;
      expect(await pod.host.run(client)).toMatch(new RegExp(`^bound 10\\.77\\.0\\.(5\\d|60) ${POD}`, 'm'));
    });

    test("reads the configuration of the ConfigMap in place of the image's", async () => {
      const plugins = [{ from: '@sidero/plugin-ipmi' }, { from: '../plugins/rack.ts', options: { row: 'b' } }];
      await writeFile(join(pod.volumes.get('config')!, 'sidero.config.yaml'), JSON.stringify({ endpoint: '10.0.0.1', plugins }));
      const looking = await pod.start('serverlogs', { name: 'configured', command: ['sidero', 'inspect', '--json'] });
      expect(await looking.exited, looking.text()).toBe('code 0');
      expect(looking.text()).toContain('/sidero/config/sidero.config.yaml');
    });

    test('ends when it is told to, in time', async () => {
      const before = performance.now();
      const all = [...containers.values()];
      await Promise.all(all.map((one) => one.terminate()));
      expect(await Promise.all(all.map(({ exited }) => exited)), all.map((one) => one.text()).join('\n')).toEqual(all.map(() => 'code 0'));
      expect(performance.now() - before).toBeLessThan(pod.pod.terminationGracePeriodSeconds * 1000);
    });
  });
});

/** The first bytes of a file, of a program with its kind and processor. */
async function readHead(path: string): Promise<Buffer> {
  await using file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(20), 0, 20, 0);
  return buffer;
}

/** A bound machine that runs Talos' stand-in, connected. */
async function joined(pod: PodSite, log: string): Promise<TalosMachines> {
  await pod.kubectl(['create', '-f', '-'], aBinding());
  const [, address = ''] = /"address":"([0-9a-f:]+)","port":\d+,"msg":"SideroLink is up"/.exec(log) ?? [];
  const talos = startTalosMachines(undefined, pod.host);
  const kernelArgs = [`siderolink.api=${POD}:8081`, `talos.events.sink=[${address}]:4002`, `talos.logging.kernel=tcp://[${address}]:4001`];
  talos.boot({ uuid: FIXTURE_UUID, kernelArgs, disk: join(tmpdir(), `sidero-image-${process.pid}.disk`), address: '' });
  await vi.waitFor(() => expect(talos.events.map(({ event }) => event)).toContain('linked'), PATIENCE);
  return talos;
}
