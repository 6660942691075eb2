import { ServerBindingKind } from '@sidero/core';
import { MetalMachineKind, providerIdOf } from '@sidero/plugin-caps';
import { aHardware, aServer, type Random, seededRandom } from '@sidero/testing';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { createCluster, createMachine, MachineKind, setPaused } from './clusters/cluster-api.ts';
import { KillWorld } from './clusters/kill-world.ts';

/** Schedules that are run; 200 before a release. */
const SCHEDULES = Number(process.env['SIDERO_KILL_SCHEDULES'] ?? 8);
const FIRST = Number(process.env['SIDERO_KILL_SEED'] ?? 1);
const SERVERS = 3;
const ACTIONS = 14;
const namespace = 'default';

const uuid = (number: number) => `4c4c4544-0000-4000-8000-${String(number).padStart(12, '0')}`;
const servers = () =>
  Array.from({ length: SERVERS }, (_, index) =>
    aServer({ spec: { hardware: aHardware({ system: { uuid: uuid(index + 1) } }, `machine-${index}`) } }),
  );

interface Run {
  readonly world: KillWorld;
  readonly random: Random;
  /** Names of MetalMachines that were made and not deleted. */
  readonly wanted: Set<string>;
  made: number;
  log: string[];
}

type Action = (run: Run) => Promise<void>;

const make: Action = async (run) => {
  const name = `m-${++run.made}`;
  run.log.push(`make ${name}`);
  run.wanted.add(name);
  const wish = run.random.chance(0.25) ? { spec: { serverRef: { kind: 'Server', name: uuid(run.random.between(1, SERVERS)) } } } : {};
  await createMachine(run.world.truth, name, wish);
};

const remove: Action = async (run) => {
  if (run.wanted.size === 0) return;
  const name = run.random.pick([...run.wanted]);
  run.log.push(`delete ${name}`);
  run.wanted.delete(name);
  await run.world.truth.remove(MetalMachineKind, { namespace, name });
  await run.world.truth.remove(MachineKind, { namespace, name });
};

const loseBinding: Action = async (run) => {
  const { bindings } = await run.world.objects();
  if (bindings.length === 0) return;
  const { name } = run.random.pick(bindings).metadata;
  run.log.push(`lose binding ${name}`);
  await run.world.truth.remove(ServerBindingKind, { name });
};

const clearServerRef: Action = async (run) => {
  if (run.wanted.size === 0) return;
  const name = run.random.pick([...run.wanted]);
  run.log.push(`clear serverRef of ${name}`);
  await run.world.truth.change(MetalMachineKind, { namespace, name }, (draft) => void (draft.spec?.providerID && delete draft.spec.serverRef));
};

// While the cluster is paused nobody makes a lost binding again.
const pauseAndGoOn: Action = async (run) => {
  run.log.push('pause');
  await setPaused(run.world.truth, true);
  await delay(run.random.between(0, 80));
  if (run.random.chance(0.7)) await loseBinding(run);
  if (run.random.chance(0.3)) await kill(run);
  await delay(run.random.between(0, 1000));
  run.log.push('go on');
  await setPaused(run.world.truth, false);
};

const kill: Action = async (run) => {
  run.log.push('kill');
  await run.world.kill();
  if (run.random.chance(0.3)) await loseBinding(run);
  await delay(run.random.between(0, 40));
  await run.world.start();
};

const ALL: readonly Action[] = [make, make, remove, loseBinding, clearServerRef, pauseAndGoOn, pauseAndGoOn, kill, kill];

async function play(run: Run): Promise<void> {
  await run.world.start();
  await createCluster(run.world.truth);
  await make(run);
  await make(run);
  // Most schedules begin with Talos on some disk, so that there is something to lose.
  const isRunning = () => expect([...run.world.machines.values()].some(({ runs }) => runs)).toBe(true);
  if (run.random.chance(0.75)) await vi.waitFor(isRunning, { timeout: 20_000, interval: 50 });
  for (let index = 0; index < ACTIONS; index++) {
    await delay(run.random.between(0, 250));
    await run.random.pick(ALL)(run);
  }
}

/** Everything has come to rest as it should. */
async function settled({ world, wanted }: Run): Promise<void> {
  const { bindings, machines, servers: all } = await world.objects();
  expect(machines.map(({ metadata }) => metadata.name).toSorted()).toEqual([...wanted].toSorted());
  const owners = bindings.map(({ spec }) => spec?.metalMachineRef.uid);
  expect(new Set(owners).size).toBe(owners.length);
  for (const binding of bindings) {
    const owner = machines.find(({ metadata }) => metadata.uid === binding.spec?.metalMachineRef.uid);
    expect(owner?.spec?.providerID).toBe(providerIdOf(binding.metadata.name));
    expect(world.machines.get(binding.metadata.name)).toMatchObject({ isOn: true, runs: owner?.metadata.uid });
  }
  const isBound = (name: string) => bindings.some(({ metadata }) => metadata.name === name);
  for (const { metadata, status } of all.filter((server) => !isBound(server.metadata.name))) {
    expect(status).toMatchObject({ inUse: false, isClean: true });
    expect(world.machines.get(metadata.name)).toMatchObject({ isOn: false, disk: undefined });
  }
  // Nobody waits while a server is free, but for those that want another one.
  const waiting = machines.filter(({ spec }) => !spec?.providerID);
  for (const { spec } of waiting) expect(spec?.serverRef?.name ? isBound(spec.serverRef.name) : bindings.length === SERVERS).toBe(true);
}

test.concurrent.each(Array.from({ length: SCHEDULES }, (_, index) => index + FIRST))(
  'kill schedule %s ends without a double allocation, a wipe or a reboot of a server in use, or an orphan',
  { timeout: 120_000 },
  async (seed) => {
    await using world = await KillWorld.create(servers());
    const run: Run = { world, random: seededRandom('kill', seed), wanted: new Set(), made: 0, log: [] };
    await play(run);
    try {
      await vi.waitFor(() => settled(run), { timeout: 60_000, interval: 200 });
    } finally {
      expect(world.violations, run.log.join(', ')).toEqual([]);
    }
  },
);
