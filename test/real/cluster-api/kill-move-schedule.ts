import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { ADOPT_ANNOTATION, adoptionOf, readInstallation, ServerBindingKind, ServerKind } from '@sidero/core';
import { type MetalMachine, providerIdOf } from '@sidero/plugin-caps';
import { type Random, seededRandom } from '@sidero/testing';
import type { KillManagement, Point } from './kill-move-management.ts';
import { CLUSTER, type KillMoveWorld } from './kill-move-world.ts';
import { clusterctlOf } from './parts.ts';

const WORKERS = `machinedeployment/${CLUSTER}-workers`;
/** How long a point of a kill is waited for. */
const PATIENCE_MS = 4000;
const MOVE_ATTEMPTS = 10;
/** Lines that clusterctl says during a move of a cluster of this size, about. */
const MOVE_LINES = 90;

const COMING: readonly Point[] = ['power command', 'power switched', 'boot decided', 'configuration given out', 'HTTP'];
const GOING: readonly Point[] = ['server released', 'power command', 'power switched', 'boot decided', 'wipe handed to the machine', 'HTTP'];

/** A schedule under way. */
interface Run {
  readonly world: KillMoveWorld;
  readonly random: Random;
  readonly log: string[];
}

/**
 * Plays the schedule of a seed: workers are added to the cluster, it is moved to the other management cluster, and the workers are taken away there.
 * Sidero is killed in each part, and during the move that of the source, that of the target, or clusterctl.
 * @throws when something happened that must not, or when things do not come to rest
 */
export async function playMoveSchedule(world: KillMoveWorld, seed: number): Promise<void> {
  const run: Run = { world, random: seededRandom('kill and move', seed), log: [] };
  try {
    await makeEmpty(world.other);
    await adoptFree(world);
    await comeToRest(run, 0);
    await addWorkers(run, run.random.between(1, 2));
    await move(run);
    await takeWorkersAway(run);
  } catch (cause) {
    throw new Error(`seed ${seed}: ${[String(cause), ...run.log, JSON.stringify(world.orders())].join('\n  ')}`, { cause });
  }
  // Each schedule answers for itself.
  const breaches = world.breaches.splice(0);
  if (breaches.length === 0) return;
  const { home, other } = world;
  throw new Error(`seed ${seed}: ${[...breaches, ...run.log, '--- home', home.said, '--- other', other.said].join('\n  ')}`);
}

/** So many workers run, each on a server of its own, and nothing else is bound; the other servers are clean and off. */
async function comeToRest({ world }: Run, workers: number): Promise<void> {
  const { home } = world;
  await world.until(async () => {
    const machines = await home.list<{ status?: { phase?: string } }>('machines.cluster.x-k8s.io');
    assert.deepEqual(
      machines.map(({ status }) => status?.phase),
      Array.from({ length: workers + 1 }, () => 'Running'),
    );
    const metalMachines = await home.list<MetalMachine>('metalmachines');
    const bindings = await home.resources.list(ServerBindingKind, {}, { live: true });
    const owned = bindings.map(({ metadata, spec }) => `${spec?.metalMachineRef.uid} ${providerIdOf(metadata.name)}`);
    assert.deepEqual(owned.toSorted(), metalMachines.map(({ metadata, spec }) => `${metadata.uid} ${spec?.providerID}`).toSorted());
    const isBound = (name: string) => bindings.some(({ metadata }) => metadata.name === name);
    for (const { metadata, status } of await home.resources.list(ServerKind, {}, { live: true })) {
      const machine = world.machines.find(({ uuid }) => uuid === metadata.name)!;
      const is = { inUse: status?.inUse, isOn: machine.isOn(), isInstalled: world.isInstalled(machine.uuid) };
      const bound = isBound(metadata.name);
      assert.deepEqual(is, { inUse: bound, isOn: bound, isInstalled: bound }, metadata.name);
      // What is free stays with the installation that had it.
      if (!bound && status?.step?.name !== 'Fenced') assert.equal(status?.isClean, true, metadata.name);
    }
  });
}

async function addWorkers(run: Run, count: number): Promise<void> {
  const { world, log } = run;
  world.protect(await world.bound(), 'workers come');
  log.push(`${count} workers`);
  await world.home.kubectl(['scale', WORKERS, '-n', 'default', `--replicas=${count}`]);
  await killSometimes(run, COMING);
  await comeToRest(run, count);
}

async function takeWorkersAway(run: Run): Promise<void> {
  const { world, log } = run;
  const machines = await world.home.list<MetalMachine>('metalmachines');
  const controlPlanes = machines.filter(({ metadata }) => metadata.labels?.['cluster.x-k8s.io/control-plane'] !== undefined);
  const stay = controlPlanes.map(({ spec }) => spec?.providerID);
  const uuids = world.machines.map(({ uuid }) => uuid);
  world.protect(
    uuids.filter((uuid) => stay.includes(providerIdOf(uuid))),
    'workers go',
  );
  log.push('no workers');
  await world.home.kubectl(['scale', WORKERS, '-n', 'default', '--replicas=0']);
  await killSometimes(run, GOING);
  await comeToRest(run, 0);
}

async function killSometimes({ world, random, log }: Run, points: readonly Point[]): Promise<void> {
  for (let kills = random.between(1, 2); kills > 0; kills--) {
    const point = random.pick(points);
    const wasThere = await world.home.killAt(point, random.between(PATIENCE_MS / 4, PATIENCE_MS));
    log.push(`kill at "${point}"${wasThere ? '' : ', which did not come'}`);
    await delay(random.between(0, 500));
    await world.home.startSidero();
  }
}

type Victim = 'source' | 'target' | 'clusterctl';

async function move(run: Run): Promise<void> {
  const { world, random, log } = run;
  const [from, to] = [world.home, world.other];
  await to.startSidero();
  const bound = await world.bound();
  world.protect(bound, 'the move');
  const victim = random.pick<Victim>(['source', 'target', 'clusterctl', 'clusterctl']);
  const line = random.between(1, MOVE_LINES);
  log.push(`move; kill ${victim} at line ${line}`);
  // What a person says here must not be heard there, however short the time was in which it could be read here.
  await adopt(from, (name) => !bound.includes(name) || random.chance(0.7));
  for (let attempt = 1; ; attempt++) {
    const said = await runMove({ from, to, kill: attempt === 1 ? { victim, line } : undefined });
    for (const management of [from, to]) if (!management.isAlive) await management.startSidero();
    if (said === undefined) break;
    log.push(`clusterctl: ${said}`);
    if (attempt === MOVE_ATTEMPTS) throw new Error(`clusterctl move failed ${attempt} times`);
  }
  await goOn(run, to);
  [world.home, world.other] = [to, from];
  await comeToRest(run, bound.length - 1);
  assert.deepEqual((await world.bound()).toSorted(), [...bound].toSorted(), 'bound before and after the move');
}

interface Move {
  readonly from: KillManagement;
  readonly to: KillManagement;
  readonly kill: { readonly victim: Victim; readonly line: number } | undefined;
}

/** Runs `clusterctl move` once. Gives why it did not succeed. */
async function runMove({ from, to, kill }: Move): Promise<string | undefined> {
  const flags = [`--kubeconfig=${from.kubeconfigPath}`, `--to-kubeconfig=${to.kubeconfigPath}`, '--namespace=default', '-v=10'];
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', XDG_CONFIG_HOME: '/nonexistent', CLUSTERCTL_DISABLE_VERSIONCHECK: 'true' };
  const child = spawn(clusterctlOf('1.10'), ['move', `--config=${from.clusterctl.config}`, ...flags], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let kills: Promise<void> | undefined;
  const hear = (chunk: Buffer) => {
    said += chunk.toString();
    if (kill && !kills && said.split('\n').length > kill.line) kills = killed(kill.victim, { child, from, to });
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  await kills;
  if (code === 0) return undefined;
  return `${signal ?? `code ${code}`} after ${said.split('\n').length} lines: ${said.trim().split('\n').at(-1)}`;
}

async function killed(victim: Victim, { child, from, to }: { child: ChildProcess; from: KillManagement; to: KillManagement }): Promise<void> {
  if (victim === 'clusterctl') return void child.kill('SIGKILL');
  const management = victim === 'source' ? from : to;
  await management.kill();
  // Its Deployment starts it again, while clusterctl goes on or gives up.
  await management.startSidero();
}

/** What was cut short between the last deletion and the last word leaves the cluster paused, and nothing to move. */
async function goOn({ log }: Run, to: KillManagement): Promise<void> {
  const paused = await to.kubectl(['get', 'cluster', CLUSTER, '-n', 'default', '-o', 'jsonpath={.spec.paused}']);
  if (paused !== 'true') return;
  log.push('the cluster was left paused');
  await to.kubectl(['patch', 'cluster', CLUSTER, '-n', 'default', '--type=merge', '-p', '{"spec":{"paused":false}}']);
}

/** Servers that nobody has stay with the installation that had them, until somebody says otherwise, who has switched that off. */
async function adoptFree(world: KillMoveWorld): Promise<void> {
  const bound = await world.bound();
  await adopt(world.home, (name) => !bound.includes(name));
}

/** As `sidero adopt` does it. */
async function adopt({ resources }: KillManagement, isMeant: (name: string) => boolean): Promise<void> {
  const installation = await readInstallation(resources);
  const servers = await resources.list(ServerKind, {}, { live: true });
  for (const { metadata } of servers.filter((server) => isMeant(server.metadata.name)))
    await resources.change(ServerKind, { name: metadata.name }, (draft) => {
      draft.metadata.annotations = { ...draft.metadata.annotations, [ADOPT_ANNOTATION]: adoptionOf(draft, installation) };
    });
}

/** A management cluster becomes one that never had a server: what a move leaves behind is taken away while nobody there can act on it. */
async function makeEmpty(management: KillManagement): Promise<void> {
  await management.kill();
  const ours = ['validatingwebhookconfiguration', '-l', 'cluster.x-k8s.io/provider=infrastructure-sidero'];
  const webhooks = await management.kubectl(['get', ...ours, '-o', 'json']);
  await management.kubectl(['delete', ...ours]);
  for (const { metadata } of await management.resources.list(ServerKind, {}, { live: true }))
    await management.resources.change(ServerKind, { name: metadata.name }, (draft) => void (draft.metadata.finalizers = []));
  await management.kubectl(['delete', 'serverbindings,servers', '--all']);
  const { items } = JSON.parse(webhooks) as { items: { metadata: Record<string, unknown> }[] };
  for (const { metadata } of items) for (const key of ['resourceVersion', 'uid', 'creationTimestamp', 'generation']) delete metadata[key];
  await management.kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}
