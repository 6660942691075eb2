import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, REQUEST_ANNOTATION, requestText, SecretKind, ServerBindingKind, ServerKind } from '@sidero/core';
import { MetalMachineKind, providerIdOf } from '@sidero/plugin-caps';
import { type Random, seededRandom, type StageName } from '@sidero/testing';
import { createCluster, createMachine, MachineKind, setPaused } from './cluster-api.ts';
import { KillWorld } from './kill-world.ts';
import { configOf } from './played-talos.ts';
import type { Timeline } from './timeline.ts';

const MACHINES = 3;
const ACTIONS = 14;
/** How late the management plane hears of changes, in most and in some schedules. */
const WATCH_LAGS_MS = process.env['SIDERO_KILL_WATCH_LAGS']?.split(',').map(Number) ?? [0, 0, 50, 50, 100, 150, 300, 700];
const BEGIN_PATIENCE_MS = 30_000;
const SETTLE_TIMEOUT_MS = 180_000;
const namespace = 'default';

/** A schedule under way. */
interface Run {
  readonly world: KillWorld;
  readonly random: Random;
  /** Names of MetalMachines that were made and not deleted. */
  readonly wanted: Set<string>;
  readonly log: Timeline;
  made: number;
}

type Action = (run: Run) => Promise<void>;

const make: Action = (run) => create(run, `m-${++run.made}`);

async function create({ world, random, wanted, log }: Run, name: string): Promise<void> {
  log.push(`make ${name}`);
  wanted.add(name);
  const { uuid } = random.pick(world.talos);
  const machine = await createMachine(world.truth, name, random.chance(0.25) ? { spec: { serverRef: { kind: 'Server', name: uuid } } } : {});
  const data = { value: Buffer.from(configOf(machine.metadata.uid ?? '')).toString('base64') };
  const secret = { namespace, name: `${name}-bootstrap` };
  await world.truth.remove(SecretKind, secret);
  await world.truth.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: secret, data });
}

const remove: Action = async ({ world, random, wanted, log }) => {
  if (wanted.size === 0) return;
  const name = random.pick([...wanted]);
  log.push(`delete ${name}`);
  wanted.delete(name);
  await world.truth.remove(MetalMachineKind, { namespace, name });
  await world.truth.remove(MachineKind, { namespace, name });
};

/** Another MetalMachine under a name that there was: its ServerBinding and its Talos may still be there. */
const makeAgain: Action = async (run) => {
  const { world, random, wanted } = run;
  const { machines } = await world.objects();
  const isThere = (name: string) => machines.some(({ metadata }) => metadata.name === name);
  const gone = Array.from({ length: run.made }, (_, index) => `m-${index + 1}`).filter((name) => !wanted.has(name) && !isThere(name));
  await (gone.length > 0 ? create(run, random.pick(gone)) : make(run));
};

const loseBinding: Action = async ({ world, random, log }) => {
  const { bindings } = await world.objects();
  if (bindings.length === 0) return;
  const { name } = random.pick(bindings).metadata;
  log.push(`lose binding ${name}`);
  await world.truth.remove(ServerBindingKind, { name });
};

const clearServerRef: Action = async ({ world, random, wanted, log }) => {
  if (wanted.size === 0) return;
  const name = random.pick([...wanted]);
  log.push(`clear serverRef of ${name}`);
  await world.truth.change(MetalMachineKind, { namespace, name }, (draft) => void (draft.spec?.providerID && delete draft.spec.serverRef));
};

/** While the cluster is paused nobody makes a lost binding again. */
const pauseAndGoOn: Action = async (run) => {
  const { world, random, log } = run;
  log.push('pause');
  await setPaused(world.truth, true);
  await delay(random.between(0, 80));
  if (random.chance(0.7)) await loseBinding(run);
  if (random.chance(0.3)) await kill(run);
  await delay(random.between(0, 600));
  log.push('go on');
  await setPaused(world.truth, false);
};

const kill: Action = async (run) => {
  run.log.push('kill');
  run.world.kill();
  await startAgain(run);
};

async function startAgain(run: Run): Promise<void> {
  if (run.random.chance(0.3)) await loseBinding(run);
  await delay(run.random.between(0, 40));
  await run.world.start();
}

const POINTS: readonly StageName[] = ['ipxe', 'agent', 'wiping', 'clean', 'environment', 'off'];

/** Killed in the very moment in which a machine begins something, if one does soon. */
const killAtPoint: Action = async (run) => {
  const { world, random, log } = run;
  const point = random.pick(POINTS);
  log.push(`kill at ${point}`);
  await world.nextStage(point, 400);
  // Within the milliseconds after it lie the writes that it causes.
  if (random.chance(0.6)) await delay(random.between(0, 15));
  world.kill();
  await startAgain(run);
};

/** Killed while a new ServerBinding, or the end of one, goes round. */
const killAtAllocation: Action = async (run) => {
  await run.random.pick([make, remove, makeAgain])(run);
  run.log.push('kill at allocation');
  await run.world.nextBinding(150);
  if (run.random.chance(0.6)) await delay(run.random.between(0, 15));
  run.world.kill();
  await startAgain(run);
};

/** A machine loses its power, and its BMC does not. */
const powerFailure: Action = async ({ world, random, log }) => {
  const { machine } = random.pick(world.talos);
  log.push(`power failure of ${machine.uuid}`);
  machine.cutPower('the fuse blew');
  // Who is not known yet is switched on by hand, as it was the first time.
  if (!(await world.truth.get(ServerKind, { name: machine.uuid }, { live: true }))) machine.powerOn();
};

const steal: Action = async ({ world, random, log }) => {
  const [thief, from] = [random.pick(world.talos), random.pick(world.talos)];
  if (thief === from) return;
  log.push(`${thief.uuid} asks for the configuration of ${from.uuid}`);
  await thief.steal(from);
};

const ALL: readonly Action[] = [
  make,
  make,
  remove,
  makeAgain,
  loseBinding,
  clearServerRef,
  pauseAndGoOn,
  pauseAndGoOn,
  kill,
  killAtPoint,
  killAtAllocation,
  powerFailure,
  steal,
];

async function play(run: Run): Promise<void> {
  const { world, random } = run;
  await world.start();
  await createCluster(world.truth);
  for (const { machine } of world.talos) machine.powerOn();
  await make(run);
  await make(run);
  // Most schedules begin with Talos on some disk, so that there is something to lose.
  if (random.chance(0.75)) await world.firstTalos(BEGIN_PATIENCE_MS);
  for (let index = 0; index < ACTIONS; index++) {
    await delay(random.between(0, 200));
    await random.pick(ALL)(run);
  }
}

/** What is left to a person: a wipe that was cut short three times is not begun again until somebody says so. */
async function operate({ world, log }: Run, done: Set<string>): Promise<void> {
  const { servers } = await world.objects();
  for (const { metadata, status } of servers) {
    if (status?.step?.name !== 'WipeStopped' || done.has(metadata.name)) continue;
    done.add(metadata.name);
    log.push(`sidero wipe ${metadata.name}`);
    await world.truth.change(ServerKind, { name: metadata.name }, (draft) => {
      draft.metadata.annotations = { ...draft.metadata.annotations, [REQUEST_ANNOTATION]: requestText('wipe') };
    });
  }
}

/** Everything has come to rest as it should. @throws what has not */
async function settled({ world, wanted }: Run): Promise<void> {
  const { bindings, machines, servers } = await world.objects();
  assert.deepEqual(machines.map(({ metadata }) => metadata.name).toSorted(), [...wanted].toSorted(), 'MetalMachines there are');
  assert.equal(servers.length, MACHINES, 'Servers there are');
  const owners = bindings.map(({ spec }) => spec?.metalMachineRef.uid);
  assert.equal(new Set(owners).size, owners.length, 'a MetalMachine has two servers');
  const talosOf = (uuid: string) => world.talos.find((talos) => talos.uuid === uuid)!;
  for (const { metadata, spec } of bindings) {
    const owner = machines.find((machine) => machine.metadata.uid === spec?.metalMachineRef.uid);
    assert(owner, `ServerBinding ${metadata.name} is an orphan`);
    assert.equal(owner.spec?.providerID, providerIdOf(metadata.name));
    const { machine, runs } = talosOf(metadata.name);
    assert.deepEqual({ isOn: machine.isOn(), runs }, { isOn: true, runs: owner.metadata.uid }, `${metadata.name} is bound`);
  }
  const isBound = (name: string) => bindings.some(({ metadata }) => metadata.name === name);
  for (const { metadata, status } of servers.filter((server) => !isBound(server.metadata.name))) {
    const { machine, disk } = talosOf(metadata.name);
    const { inUse, isClean } = status ?? {};
    assert.deepEqual({ inUse, isClean, isOn: machine.isOn(), disk }, { inUse: false, isClean: true, isOn: false, disk: undefined }, metadata.name);
  }
  // Nobody waits while a server is free, but for those that want another one.
  for (const { metadata, spec } of machines.filter((machine) => !machine.spec?.providerID))
    assert(spec?.serverRef?.name ? isBound(spec.serverRef.name) : bindings.length === MACHINES, `${metadata.name} waits`);
}

async function until(assertion: () => Promise<void>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await assertion();
    } catch (thrown) {
      if (performance.now() > deadline) throw thrown;
    }
    await delay(100);
  }
}

/**
 * Plays the schedule of a seed: MetalMachines come and go, ServerBindings get lost, clusters are paused, machines lose their power, and the management
 * plane is killed again and again. The seed decides what is done and when; what comes of it, the machine that it runs on also decides.
 * @throws when something happened that must not, or when things do not come to rest
 */
export async function playKillSchedule(seed: number): Promise<void> {
  const random = seededRandom('kill', seed);
  // Caches are behind the API.
  const watchLagMs = random.pick(WATCH_LAGS_MS);
  await using world = await KillWorld.create({ seed: `kill-${seed}`, machines: MACHINES, watchLagMs });
  const run: Run = { world, random, wanted: new Set(), made: 0, log: world.timeline };
  run.log.push(`watch lag ${watchLagMs} ms`);
  try {
    await play(run);
    const operated = new Set<string>();
    await until(async () => {
      await operate(run, operated);
      await settled(run);
    }, SETTLE_TIMEOUT_MS);
  } catch (cause) {
    throw new Error(`seed ${seed}: ${messageOf(cause)}${await story(run)}`, { cause });
  }
  await world.breaches.judged();
  if (world.breaches.found.length > 0) throw new Error(`seed ${seed}: what must not be${await story(run)}`);
}

async function story({ world, log }: Run): Promise<string> {
  const { servers, bindings, machines } = await world.objects();
  const lines = [
    ...world.breaches.found.map((breach) => `MUST NOT BE: ${breach}`),
    ...log.lines,
    ...servers.map(({ metadata, status: { isClean, inUse, boot, step, powerAction } = {} }) => {
      return `Server ${metadata.name}: ${JSON.stringify({ isClean, inUse, boot, step, powerAction })}`;
    }),
    ...bindings.map(({ metadata, spec }) => `ServerBinding ${metadata.name}: ${spec?.metalMachineRef.name} ${spec?.metalMachineRef.uid}`),
    ...machines.map(
      ({ metadata, spec }) => `MetalMachine ${metadata.name} ${metadata.uid} ${metadata.deletionTimestamp ?? ''}: ${JSON.stringify(spec)}`,
    ),
    ...world.talos.map(({ uuid, machine, disk, runs }) => `machine ${uuid}: ${JSON.stringify({ disk, runs, console: machine.console.slice(-2) })}`),
  ];
  return lines.map((line) => `\n  ${line}`).join('');
}
