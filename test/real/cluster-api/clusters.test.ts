import {
  type Condition,
  isTrue,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  type ServerClass,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import type { MetalMachine } from '@sidero/plugin-caps';
import { siderolink } from '@sidero/plugin-siderolink';
import { freePorts, simulatedPower } from '@sidero/testing';
import type { SimulatedBmc } from '@sidero/testing/bmc';
import { Agent, fetch as fetchWith } from 'undici';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { isPossible } from '../sidero-on-kubernetes.ts';
import { isTalosBuilt } from '../talos/program.ts';
import { startTalosConfig } from '../talos/talos-config.ts';
import { describeCluster, generateCluster } from './clusterctl.ts';
import { rightOf, rightsOfSidero } from './installed-sidero.ts';
import { type ManagementCluster, startManagementCluster } from './management-cluster.ts';
import { isClusterApiBuilt } from './parts.ts';
import { plugIn, type TalosRack } from './rack.ts';
import { WorkloadCluster } from './workload-cluster.ts';

const MACHINES = 4;
const CLASS = 'talos';

interface Machine {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly bootstrap: { readonly dataSecretName?: string }; readonly providerID?: string };
  readonly status?: { readonly phase?: string; readonly nodeRef?: { readonly name: string }; readonly conditions?: readonly Condition[] };
}

/** Rights of the bundle that nothing here needs, and what does. */
const USED_ELSEWHERE: Readonly<Record<string, string>> = {
  'patch /secrets': 'sidero bmc rotate',
  'patch metal.sidero.dev/serverclasses': 'class any is put right',
};

const isBuilt = isPossible && isClusterApiBuilt() && isTalosBuilt;

describe.skipIf(!isBuilt).each(['1.10', '1.14'] as const)("a cluster with Cluster API %s and Talos' real providers", (release) => {
  const bmcs = new Map<string, SimulatedBmc>();
  let management: ManagementCluster;
  let workload: WorkloadCluster;
  let rack: TalosRack;

  beforeAll(async () => {
    const [port = 0, logPort = 0, eventPort = 0] = await freePorts(3);
    workload = new WorkloadCluster({ name: 'rack-1', port, sideroLink: 'real', management: () => management });
    management = await startManagementCluster({
      release,
      plugins: [simulatedPower((uuid) => bmcs.get(uuid)), siderolink({ tunnel: 'loopback', logPort, eventPort })],
      environment: { name: CLASS, args: ['talos.platform=metal'] },
    });
    rack = await plugIn(management.plane, { count: MACHINES, bmcs, onEvent: (event) => workload.tell(event) });
  }, 120_000);

  afterAll(async () => {
    await rack?.[Symbol.asyncDispose]();
    await workload?.[Symbol.asyncDispose]();
    await management?.[Symbol.asyncDispose]();
  });

  /** Waits for something; says what everybody said when it does not come. */
  const until = (assertion: () => Promise<void>) =>
    vi
      .waitFor(
        async () => {
          await workload.settled();
          await assertion();
        },
        { timeout: 120_000, interval: 500 },
      )
      .catch((thrown: Error) => {
        const events = rack.talos.events
          .slice(-20)
          .map((event) => JSON.stringify(event))
          .join('\n');
        throw new Error(`${thrown.message}\n${events}\n${management.clusterApi.said()}`, { cause: thrown });
      });
  const servers = (): Promise<readonly Server[]> => management.resources.list(ServerKind, {}, { live: true });
  const bindings = (): Promise<readonly ServerBinding[]> => management.resources.list(ServerBindingKind, {}, { live: true });
  const machines = () => management.list<Machine>('machines.cluster.x-k8s.io');
  const metalMachines = () => management.list<MetalMachine>('metalmachines');

  test('servers register, are wiped and wait, switched off', async () => {
    await management.resources.create<ServerClass>(ServerClassKind, {
      apiVersion: 'metal.sidero.dev/v1alpha2',
      kind: 'ServerClass',
      metadata: { name: CLASS },
      spec: {
        environmentRef: { name: CLASS },
        configPatches: [{ op: 'add', path: '/machine/sysctls', value: { 'vm.swappiness': '1' } }],
        strategicPatches: ['machine: {install: {disk: /dev/nvme0n1}}'],
      },
    });
    for (const machine of rack.machines) machine.powerOn();
    await until(async () => {
      expect((await servers()).map(({ status }) => [status?.isClean, status?.power])).toEqual(Array.from({ length: MACHINES }, () => [true, 'off']));
    });
  });

  test('a template becomes Machines with bootstrap Secrets, and servers that boot', async () => {
    const objects = await generateCluster(management, { name: 'rack-1', port: workload.port, serverClass: CLASS, controlPlanes: 1, workers: 2 });
    await management.kubectl(['apply', '-n', 'default', '-f', '-'], objects);
    await until(async () => expect((await bindings()).length).toBe(3));
    const made = await machines();
    expect(made.map(({ spec }) => spec.bootstrap.dataSecretName)).toEqual(made.map(() => expect.stringContaining('-bootstrap-data')));
    await until(async () => expect(rack.machines.filter(({ uuid }) => rack.isInstalled(uuid)).length).toBe(3));
  });

  test('each got a configuration that Talos takes on metal, patched by its class and labelled as its node', async () => {
    const got = rack.talos.events.filter(({ event }) => event === 'config');
    expect(got.length).toBe(3);
    // As long as a real one: a control plane's has about 11 KB.
    expect(Math.max(...got.map(({ detail }) => Number.parseInt(detail!, 10)))).toBeGreaterThan(10_000);
    expect(rack.talos.events.filter(({ event }) => event === 'refused')).toEqual([]);
    await using talos = startTalosConfig();
    const { uuid } = got[0]!;
    const args = rack.machines.find((machine) => machine.uuid === uuid)!.kernelArgs;
    const url = args.find((arg) => arg.startsWith('talos.config='))!.slice('talos.config='.length);
    const config = await (await fetch(url.replace('uuid=', `uuid=${uuid}`))).text();
    const read = await talos.ask({ config, validate: true });
    expect(read.problem).toBeUndefined();
    expect(read.config).toContain('disk: /dev/nvme0n1\n');
    expect(read.config).toContain('vm.swappiness: "1"\n');
    expect(read.config).toContain(`node-labels: metal.sidero.dev/uuid=${uuid}`);
  });

  test('its machines run: nodes have provider ids, and Cluster API knows them', async () => {
    await until(async () => {
      expect((await metalMachines()).map(({ status }) => isTrue(status?.conditions, 'ProviderSet'))).toEqual([true, true, true]);
    });
    await until(async () => expect((await machines()).map(({ status }) => status?.phase)).toEqual(['Running', 'Running', 'Running']));
    const { stdout } = await workload.api.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[*].spec.providerID}']);
    const bound = (await bindings()).map(({ metadata }) => `sidero://${metadata.name}`);
    expect(stdout.split(' ').toSorted()).toEqual(bound.toSorted());
    // What Talos tells comes by another way than its Node.
    await until(async () => {
      const conditions = (await metalMachines()).map(({ status }) =>
        status?.conditions?.filter((one) => one.status === 'True').map(({ type }) => type),
      );
      for (const types of conditions)
        expect(types).toEqual(expect.arrayContaining(['Ready', 'ProviderSet', 'TalosConfigLoaded', 'TalosConfigValidated', 'TalosInstalled']));
    });
  });

  test('clusterctl describe shows what Sidero has made of it as ready, in the conditions of either contract', async () => {
    await until(async () => {
      const lines = (await describeCluster(management, 'rack-1')).split('\n');
      const ready = (kind: RegExp) => lines.filter((line) => kind.test(line)).map((line) => /\b(True|False|Unknown)\b/.exec(line)?.[1]);
      expect(ready(/MetalCluster[ /]/)).toEqual(['True']);
      expect(ready(/MetalMachine[ /]/)).toEqual(['True', 'True', 'True']);
      expect(ready(/TalosControlPlane[ /]/)).toEqual(['True']);
    });
  });

  const scale = (what: string, replicas: number) => management.kubectl(['scale', what, '-n', 'default', `--replicas=${replicas}`]);
  const allRun = (count: number) =>
    until(async () => expect((await machines()).map(({ status }) => status?.phase)).toEqual(Array.from({ length: count }, () => 'Running')));
  const cleanOnes = (count: number) =>
    until(async () => {
      expect((await bindings()).length).toBe(MACHINES - count);
      expect((await servers()).filter(({ status }) => status?.isClean).length).toBe(count);
      expect(rack.machines.filter(({ uuid }) => rack.isInstalled(uuid)).length).toBe(MACHINES - count);
    });

  test('fewer workers: their servers come back, wiped', async () => {
    await scale('machinedeployment/rack-1-workers', 1);
    await cleanOnes(2);
  });

  test('a control plane of three, and of one again: those that go have left etcd before', async () => {
    await scale('taloscontrolplane/rack-1-cp', 3);
    await allRun(4);
    await scale('taloscontrolplane/rack-1-cp', 1);
    await cleanOnes(2);
    expect(rack.talos.events.filter(({ event }) => event === 'left').length).toBe(2);
  });

  test('more workers: they take servers that others had', async () => {
    await scale('machinedeployment/rack-1-workers', 3);
    await allRun(4);
  });

  test('clusterctl describe tells why a machine waits for a server, as its condition has it in either contract', async () => {
    await scale('machinedeployment/rack-1-workers', 4);
    await until(async () => {
      const lines = (await describeCluster(management, 'rack-1')).split('\n').filter((line) => /MetalMachine[ /]/.test(line));
      expect(
        lines.filter((line) => /\bFalse\b.*\bNoServerFits\b/.test(line)),
        lines.join('\n'),
      ).toHaveLength(1);
      expect(lines.filter((line) => /\bTrue\b/.test(line))).toHaveLength(MACHINES);
    });
    // Cluster API takes it over to the Machine, where most people look.
    await until(async () => {
      const said = (await machines()).flatMap(({ status }) => status?.conditions?.filter(({ type }) => type === 'InfrastructureReady') ?? []);
      const message = expect.stringContaining('sidero allocate --explain') as string;
      expect(said).toContainEqual(expect.objectContaining({ status: 'False', reason: 'NoServerFits', message }));
    });
  });

  test('clusterctl describe tells why a machine is not given its configuration', async () => {
    await scale('machinedeployment/rack-1-workers', 2);
    await cleanOnes(1);
    await management.resources.change<ServerClass>(ServerClassKind, { name: CLASS }, ({ spec }) => {
      spec!.configPatches = [{ op: 'replace', path: '/machine/nowhere', value: 'hunter2' }];
    });
    await scale('machinedeployment/rack-1-workers', 3);
    await until(async () => {
      const text = await describeCluster(management, 'rack-1');
      const lines = text.split('\n').filter((line) => /MetalMachine[ /]/.test(line));
      expect(
        lines.filter((line) => /\bFalse\b.*\bconfigPatches of ServerClass talos\b/.test(line)),
        text,
      ).toHaveLength(1);
      expect(text).not.toContain('hunter2');
    });
  });

  test('deleting the cluster returns every server, wiped', async () => {
    await management.kubectl(['delete', 'cluster', 'rack-1', '-n', 'default', '--wait=false']);
    await until(async () => {
      expect(await bindings()).toEqual([]);
      expect((await servers()).map(({ status }) => [status?.isClean, status?.power])).toEqual(Array.from({ length: MACHINES }, () => [true, 'off']));
    });
    await until(async () => expect((await management.list('clusters.cluster.x-k8s.io')).length).toBe(0));
    expect(rack.machines.filter(({ uuid }) => rack.isInstalled(uuid))).toEqual([]);
  });

  test('whoever may read metrics gets them', async () => {
    const token = (await management.kubectl(['create', 'token', 'default', '-n', 'sidero-system'])).trim();
    const ask = async (bearer: string) =>
      (await fetchInsecurely(`https://127.0.0.1:${management.diagnosticsPort}/metrics`, { Authorization: `Bearer ${bearer}` })).status;
    expect([await ask(management.api.token), await ask(token)]).toEqual([200, 403]);
  });

  test('Sidero gets along with the rights of its bundle, and uses each of them', async () => {
    const requests = await management.audited();
    expect(requests.filter(({ responseStatus }) => responseStatus?.code === 403)).toEqual([]);
    // What is watched is read by name, too, as long as not all of them are known.
    const used = new Set(requests.map(rightOf).flatMap((right) => (right.startsWith('watch ') ? [right, right.replace('watch', 'get')] : [right])));
    const unused = (await rightsOfSidero(management.kubectl)).filter((right) => !used.has(right));
    expect(unused.filter((right) => !(right in USED_ELSEWHERE))).toEqual([]);
  });
});

/** The diagnostics listener signs its certificate itself. */
async function fetchInsecurely(url: string, headers: Readonly<Record<string, string>>) {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    return await fetchWith(url, { headers, dispatcher });
  } finally {
    await dispatcher.close();
  }
}
