import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerBinding } from '@sidero/core';
import { promisify } from 'node:util';
import { freePorts, writeStandIns } from '@sidero/testing';
import { dump } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { untilServed } from '../kube-apiserver.ts';
import { type Program, startProgram, untilReady } from '../program.ts';
import { isPossible } from '../sidero-on-kubernetes.ts';
import { placeClusterApi } from './cluster-api.ts';
import { clusterctl, initManagementCluster } from './clusterctl.ts';
import { type InstalledSidero, playTheCluster, startAuditedApi } from './installed-sidero.ts';
import { originalBundle } from './original-bundle.ts';
import { isClusterApiBuilt } from './parts.ts';
import { writeRepository } from './provider-repository.ts';

const ROOT = join(import.meta.dirname, '../../..');
const NAMESPACE = 'sidero-system';
const ORIGINAL = 'v0.6.13';
const FOLLOWER = 65_532;
const isRoot = process.getuid?.() === 0;
const LEASE = 'controller-leader-election-sidero-controller-manager';
const OURS = 'cluster.x-k8s.io/provider=infrastructure-sidero';
const UUID = '4c4c4544-0039-3010-8048-b7c04f384432';

const SERVER = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: UUID }, spec: { accepted: true, hostname: 'rack-1' } };
const BINDING = {
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
  kind: 'ServerBinding',
  metadata: { name: UUID },
  spec: {
    metalMachineRef: { kind: 'MetalMachine', namespace: 'default', name: 'rack-1-cp-0' },
    siderolink: { address: 'fdae::1/64', publicKey: 'XIBT49g9xCoBvyb/x36J+ASlQ4qaxXMG20ZgKbBbfE8=' },
    addresses: ['10.0.0.7'],
  },
};
// As whoever installs would set them.
const SET = {
  SIDERO_FETCH_ENVIRONMENTS: 'false',
  SIDERO_CONTROLLER_MANAGER_HOST_NETWORK: 'true',
  SIDERO_CONTROLLER_MANAGER_DEPLOYMENT_STRATEGY: 'Recreate',
  SIDERO_CONTROLLER_MANAGER_API_PORT: '9090',
  SIDERO_CONTROLLER_MANAGER_CONTAINER_API_PORT: '9091',
  SIDERO_CONTROLLER_MANAGER_SERVER_REBOOT_TIMEOUT: '30m',
};
const base64 = (text: string) => Buffer.from(text).toString('base64');
// Each value is the base64 text of 32 bytes.
const KEYS = { 'installation-id': base64('i'.repeat(32)), 'private-key': base64('k'.repeat(32)) };
const SECRET = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'siderolink', namespace: 'default', labels: { 'clusterctl.cluster.x-k8s.io/move': '' } },
  data: Object.fromEntries(Object.entries(KEYS).map(([key, text]) => [key, base64(text)])),
};
// As a manager leaves it that was ended: held, and not renewed any more.
const HELD = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name: LEASE, namespace: NAMESPACE },
  spec: { holderIdentity: 'sidero-controller-manager-7d4b_1', leaseDurationSeconds: 2, renewTime: '2026-01-01T00:00:00.000000Z' },
};

interface DeploymentSpec {
  readonly strategy: { readonly type: string };
  readonly template: {
    readonly spec: {
      readonly hostNetwork: boolean;
      readonly containers: readonly {
        readonly name: string;
        readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
        readonly env: readonly { readonly name: string; readonly value?: string }[];
      }[];
    };
  };
}

describe.skipIf(!isPossible || !isClusterApiBuilt())('clusterctl takes an installation of the original', () => {
  const left = new AsyncDisposableStack();
  let folder: string;
  let api: Awaited<ReturnType<typeof startAuditedApi>>;
  let config: string;
  let installed: InstalledSidero;
  let manager: Program | undefined;
  let isLeader: () => Promise<boolean>;

  const kubectl = async (args: readonly string[], input?: object): Promise<string> => {
    const { code, stdout, stderr } = await api.kubectl(args, input && JSON.stringify(input));
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const names = async (kind: string) =>
    (await kubectl(['get', kind, '-n', NAMESPACE, '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ').toSorted();
  const binding = async () => JSON.parse(await kubectl(['get', 'serverbinding', UUID, '-o', 'json'])) as ServerBinding;
  const provider = () =>
    kubectl(['get', 'providers.clusterctl.cluster.x-k8s.io', 'infrastructure-sidero', '-n', NAMESPACE, '-o', 'jsonpath={.version}']);
  const run = (words: readonly string[], flags: Readonly<Record<string, string>>) =>
    clusterctl(words, { flags: { kubeconfig: api.kubeconfigPath, config, ...flags } });

  const clusterBindings = async () =>
    (await kubectl(['get', 'clusterrolebindings', '-l', OURS, '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ');
  /** By the command of the guide. */
  const removeLeftovers = async () => {
    const guide = await readFile(join(ROOT, 'docs/install.md'), 'utf8');
    const command = /^kubectl (delete clusterrole,clusterrolebinding [^`]+?)\n```/m.exec(guide)![1]!;
    await kubectl(command.replaceAll('\\\n', ' ').split(/\s+/));
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sidero-upgrade-'));
    left.defer(() => rm(folder, { recursive: true, force: true }));
    const started = await startAuditedApi(folder);
    const placed = await placeClusterApi('1.10');
    api = started;
    left.defer(() => api.close());
    left.defer(() => placed.close());
    config = await writeRepository(join(folder, 'repository'), {
      offers: placed.offers,
      variables: SET,
      siderosOfOthers: { [ORIGINAL]: originalBundle() },
    });
    await initManagementCluster({ kubeconfigPath: api.kubeconfigPath, clusterctl: { release: '1.10', config } }, `sidero:${ORIGINAL}`);
    await untilServed(api);
    for (const object of [SERVER, BINDING, HELD]) await kubectl(['create', '-f', '-'], object);
  }, 180_000);
  afterAll(async () => {
    await manager?.kill();
    await left.disposeAsync();
  });

  test('over: its Deployments go, ours comes, and its servers stay bound', { timeout: 120_000 }, async () => {
    expect(await names('deployments')).toEqual(['caps-controller-manager', 'sidero-controller-manager']);
    const before = await binding();
    await run(['upgrade', 'apply'], { infrastructure: `${NAMESPACE}/sidero:v0.7.0` });
    expect(await provider()).toBe('v0.7.0');
    expect(await names('deployments')).toEqual(['sidero-controller-manager']);
    expect(await kubectl(['get', 'deployment', 'sidero-controller-manager', '-n', NAMESPACE, '-o', 'jsonpath={..image}'])).toContain(
      'sidero-metal:v0.7.0',
    );
    await removeLeftovers();
    const ours = ['caps-manager-rolebinding', 'sidero-manager-rolebinding', 'sidero-proxy-rolebinding', 'siderolink-manager-rolebinding'];
    expect((await clusterBindings()).toSorted()).toEqual(ours);
    expect(await names('lease')).toContain(LEASE);
    expect((await binding()).spec).toEqual(before.spec);
    expect((await binding()).metadata.uid).toBe(before.metadata.uid);
  });

  test('what was set for the installation is there', async () => {
    const { spec } = JSON.parse(await kubectl(['get', 'deployment', 'sidero-controller-manager', '-n', NAMESPACE, '-o', 'json'])) as {
      spec: DeploymentSpec;
    };
    const { containers, hostNetwork } = spec.template.spec;
    const manager = containers.find(({ name }) => name === 'manager');
    expect([hostNetwork, spec.strategy.type]).toEqual([true, 'Recreate']);
    expect(manager?.ports.find(({ name }) => name === 'http')?.containerPort).toBe(9091);
    expect(await kubectl(['get', 'service', 'sidero-http', '-n', NAMESPACE, '-o', 'jsonpath={.spec.ports[0].port}'])).toBe('9090');
    const env = Object.fromEntries(manager!.env.map(({ name, value }) => [name, value]));
    expect(env).toMatchObject({ SIDERO_CONTROLLER_MANAGER_SERVER_REBOOT_TIMEOUT: '30m', SIDERO_CONTROLLER_MANAGER_INSECURE_WIPE: '-' });
    expect(containers.map(({ name }) => name)).toEqual(['manager', 'serverlogs', 'serverevents']);
  });

  test('our manager does not start without the key of the tunnels that machines have', { timeout: 120_000 }, async () => {
    installed = await playTheCluster(api, folder);
    manager = await startManager(installed);
    await vi.waitFor(() => expect(manager?.ended()).toContain('ended (1)'), { timeout: 90_000, interval: 200 });
    expect(manager.ended()).toContain('SIDERO_SIDEROLINK_SECRET_MISSING');
  });

  test('and leads in place of the original once it is there, with the environment and the rights of its Deployment', {
    timeout: 120_000,
  }, async () => {
    await kubectl(['create', '-f', '-'], SECRET);
    manager = await startManager(installed);
    await untilReady(manager, 'sidero', isLeader);
    const holder = await kubectl(['get', 'lease', LEASE, '-n', NAMESPACE, '-o', 'jsonpath={.spec.holderIdentity}']);
    expect(holder).toMatch(/^sidero-ts_/);
    expect(JSON.parse(await kubectl(['get', 'secret', 'siderolink', '-n', 'default', '-o', 'json']))).toMatchObject({ data: SECRET.data });
    expect((await api.audited()).filter(({ responseStatus }) => responseStatus?.code === 403)).toEqual([]);
    // What the follower containers are: another user, in the group of the shared folder.
    if (isRoot) expect(await asFollower(join(folder, 'data', 'stream', 'logs.sock'))).toBe('connected');
    await manager.kill();
  });

  test('back: clusterctl deletes ours and installs the original, over the same servers', { timeout: 120_000 }, async () => {
    // The URL was this test's.
    const unplayed = JSON.stringify({ spec: { conversion: { strategy: 'None', webhook: null } } });
    await kubectl(['patch', ...(await kubectl(['get', 'crd', '-l', OURS, '-o', 'name'])).trim().split('\n'), '--type=merge', '-p', unplayed]);
    await run(['delete'], { infrastructure: 'sidero' });
    expect(await names('deployments')).toEqual(['']);
    await endTestNamespace();
    await run(['init'], { infrastructure: `sidero:${ORIGINAL}` });
    expect(await provider()).toBe(ORIGINAL);
    expect(await names('deployments')).toEqual(['caps-controller-manager', 'sidero-controller-manager']);
    expect((await binding()).spec).toMatchObject(BINDING.spec);
    expect(await kubectl(['get', 'server', UUID, '-o', 'jsonpath={.spec.hostname}'])).toBe('rack-1');
  });

  /** clusterctl tries cert-manager in a namespace of its own, whose end is the work of a controller that is not here. */
  async function endTestNamespace(): Promise<void> {
    const finalize = '/api/v1/namespaces/cert-manager-test/finalize';
    await kubectl(['replace', '--raw', finalize, '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'cert-manager-test' },
      spec: { finalizers: [] },
    });
  }

  /** The program as its container would: the configuration of the image above the working directory, in which a ConfigMap would lie. */
  async function startManager({ kubeconfigPath, variables }: InstalledSidero): Promise<Program> {
    const image = join(folder, 'image');
    const workingDir = join(image, 'config');
    await mkdir(workingDir, { recursive: true });
    await symlink(join(ROOT, 'node_modules'), join(image, 'node_modules')).catch(() => undefined);
    const plugins = ['agent', 'boot-ipxe', 'caps'].map((name) => `@sidero/plugin-${name}`);
    const siderolink = { from: '@sidero/plugin-siderolink', options: { tunnel: 'loopback' } };
    await writeFile(join(image, 'sidero.config.yaml'), dump({ plugins: [...plugins, siderolink] }));
    const dataDir = join(folder, 'data');
    await writeStandIns(dataDir);
    if (isRoot) await shareStreams(folder, join(dataDir, 'stream'));
    const [http = 0, health = 0, tftp = 0, tunnel = 0] = await freePorts(4);
    const ports = {
      SIDERO_CONTROLLER_MANAGER_API_PORT: String(http),
      SIDERO_CONTROLLER_MANAGER_SIDEROLINK_PORT: String(tunnel),
      SIDERO_HEALTH_ADDRESS: `127.0.0.1:${health}`,
      SIDERO_TFTP_PORT: String(tftp),
      CAPI_DIAGNOSTICS_ADDRESS: 'off',
    };
    const env = {
      ...variables,
      ...ports,
      PATH: process.env['PATH'],
      API_ENDPOINT: '127.0.0.1',
      SIDERO_DATA_DIR: dataDir,
      KUBECONFIG: kubeconfigPath,
    };
    const command = `cd ${workingDir} && exec ${process.execPath} --conditions=source ${join(ROOT, 'core/bin/sidero.js')} start`;
    const program = startProgram('/bin/sh', ['-c', command], env);
    isLeader = async () => program.said().includes('"msg":"leading"') && (await fetch(`http://127.0.0.1:${health}/readyz`)).ok;
    return program;
  }
});

/** As a kubelet does with an `emptyDir` and `fsGroup`. */
async function shareStreams(folder: string, streams: string): Promise<void> {
  await chmod(folder, 0o711);
  await mkdir(streams, { recursive: true });
  await chown(streams, 0, FOLLOWER);
  await chmod(streams, 0o2775);
}

async function asFollower(socket: string): Promise<string> {
  const connect = `require('node:net').connect(${JSON.stringify(socket)}).on('connect', () => (console.log('connected'), process.exit())).on('error', (e) => console.log(e.code))`;
  const { stdout } = await promisify(execFile)('setpriv', [
    `--reuid=${FOLLOWER}`,
    `--regid=${FOLLOWER}`,
    '--clear-groups',
    process.execPath,
    '-e',
    connect,
  ]);
  return stdout.trim();
}
