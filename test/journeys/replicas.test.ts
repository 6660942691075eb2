import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BootPlan, checkConfig, definePlugin, type Kind, type KubeObject, LeaseKind, type Plugin, type Ref, ServerKind } from '@sidero/core';
import { type RunningSidero, startSidero } from '@sidero/core/start';
import { agent } from '@sidero/plugin-agent';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { aServer, silentLogger, testSidero, type TestSidero, writeStandIns } from '@sidero/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as z from 'zod';
import { HeldWatches } from './clusters/held-watches.ts';

const UUID = aServer().metadata.name;
const NamespaceKind: Kind<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };
const request = { uuid: UUID, mac: '52:54:00:00:00:01', arch: 'amd64', address: '10.0.0.50' } as const;
const tokenOf = (plan: BootPlan) =>
  'args' in plan ? plan.args.find((arg) => arg.startsWith('sidero.token='))?.slice('sidero.token='.length) : undefined;

let first: TestSidero;
let dataDir: string;
const others: RunningSidero[] = [];
beforeEach(async () => {
  first = await testSidero({ objects: [aServer({ status: { isClean: false } })] });
  dataDir = await mkdtemp(join(tmpdir(), 'replica-'));
  await writeStandIns(dataDir);
});
afterEach(async () => {
  for (const other of others.splice(0)) await other.close();
  await first.close();
  await rm(dataDir, { recursive: true });
});

interface ReplicaOptions {
  readonly leaderElection: boolean;
  readonly plugins?: readonly Plugin[];
  /** Default: that of the first one. */
  readonly kubeConfig?: Pick<TestSidero['kubeConfig'], 'exportConfig'>;
}

/** Another replica on the cluster of the first one. */
async function startBeside({ leaderElection, plugins = [], kubeConfig = first.kubeConfig }: ReplicaOptions): Promise<RunningSidero> {
  const kubeconfig = join(dataDir, 'kubeconfig');
  await writeFile(kubeconfig, kubeConfig.exportConfig(), { mode: 0o600 });
  const options = { endpoint: '127.0.0.1', httpPort: 0, dataDir, healthAddress: 'off', diagnosticsAddress: 'off', leaderElection } as const;
  const variables = { SIDERO_FETCH_ENVIRONMENTS: 'false' };
  const own = [agent(), bootIpxe({ tftpPort: 0, tftpAddress: '127.0.0.1' }), ...plugins];
  const config = checkConfig({ ...options, plugins: own }, { file: 'replica', variables });
  const running = await startSidero({ config, kubeconfig, log: silentLogger(), variables, host: '127.0.0.1' });
  others.push(running);
  return running;
}

test('a boot that one replica began is known to the other, and the next one ends it there as well', async () => {
  const second = await startBeside({ leaderElection: false });
  const token = tokenOf(await first.lifecycle.boot(request));
  const pass = await second.kernel.lifecycle.admit({ uuid: UUID, token, address: request.address });
  expect(pass.proven).toBe(true);
  expect(await second.kernel.lifecycle.renew(pass)).toBeDefined();
  // A taker at another address is seen by the replica that did not hand the token out, once the record has reached it.
  const stranger = { ...request, address: '10.0.0.66', mac: '52:54:00:00:00:66' };
  await expect.poll(async () => (await second.resources.get(ServerKind, { name: UUID }))?.status?.boot?.id).toBe(pass.bootId);
  expect(await second.kernel.lifecycle.boot(stranger)).toMatchObject({ target: 'wait', status: 429 });

  await second.resources.change(ServerKind, { name: UUID }, (draft) => {
    draft.status = { ...draft.status, boot: { ...draft.status?.boot, seenAt: new Date().toISOString() } };
  });
  expect(tokenOf(await second.kernel.lifecycle.boot(request))).toBeDefined();
  await expect
    .poll(() => first.lifecycle.admit({ uuid: UUID, token, address: request.address }).catch((error: Error) => error.message))
    .toContain('of an earlier boot');
});

test.each(['controller-leader-election-sidero-controller-manager', 'controller-leader-election-capm'])(
  'it does not start on a cluster where the original holds the Lease %s',
  async (name) => {
    await first.resources.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'sidero-system' } }).catch(() => undefined);
    const ref = { namespace: 'sidero-system', name };
    const now = () => new Date().toISOString().replace('Z', '000Z');
    const spec = { holderIdentity: 'sidero-controller-manager-7d9f_1b2c', leaseDurationSeconds: 15, acquireTime: now(), renewTime: now() };
    await first.resources.create(LeaseKind, { apiVersion: LeaseKind.apiVersion, kind: 'Lease', metadata: ref, spec });
    const renewing = setInterval(() => {
      const renewed = first.resources.change(LeaseKind, ref, (draft) => {
        draft.spec = { ...draft.spec, renewTime: now() };
      });
      // The last one may meet the end of the test.
      renewed.catch(() => undefined);
    }, 200);
    try {
      await expect(startBeside({ leaderElection: true })).rejects.toMatchObject({
        code: 'SIDERO_ORIGINAL_LIVE',
        details: { holder: spec.holderIdentity },
      });
    } finally {
      clearInterval(renewing);
      await first.resources.remove(LeaseKind, ref);
    }
  },
);

/** What each look at a Server finds in the cache, as its hostname. */
function looking(found: (hostname: string | undefined) => void): Plugin {
  return definePlugin({
    name: 'looking',
    options: z.strictObject({}),
    setup({ controllers, resources }) {
      const reconcile = async (ref: Ref): Promise<undefined> => {
        found((await resources.get(ServerKind, ref))?.spec?.hostname);
      };
      controllers.add({ name: 'looking', kind: ServerKind, reconcile });
    },
  })();
}

test('a replica whose watches hang looks at what there is before it leads', async () => {
  const { clusters } = first.kubeConfig;
  const { server: url, caData = '' } = clusters[0]!;
  const caPem = Buffer.from(caData, 'base64').toString();
  await using door = await HeldWatches.start({ kubeConfig: first.kubeConfig, url, caPem });
  await first.resources.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'sidero-system' } }).catch(() => undefined);
  const ref = { namespace: 'sidero-system', name: 'controller-leader-election-sidero-controller-manager' };
  const now = new Date().toISOString().replace('Z', '000Z');
  const spec = { holderIdentity: 'sidero-ts_another_1', leaseDurationSeconds: 3600, acquireTime: now, renewTime: now };
  await first.resources.create(LeaseKind, { apiVersion: LeaseKind.apiVersion, kind: 'Lease', metadata: ref, spec });
  const found: (string | undefined)[] = [];
  const replica = await startBeside({ leaderElection: true, kubeConfig: door.kubeConfig, plugins: [looking((name) => found.push(name))] });
  door.hold(ServerKind);
  await first.resources.change(ServerKind, { name: UUID }, (draft) => void (draft.spec!.hostname = 'new'));
  expect((await replica.resources.get(ServerKind, { name: UUID }))?.spec?.hostname).not.toBe('new');
  expect(found).toEqual([]);
  await first.resources.remove(LeaseKind, ref);
  await expect.poll(() => found[0], { timeout: 15_000 }).toBe('new');
});
