import { ADOPT_ANNOTATION, adoptionOf, type Server, ServerBindingKind, ServerKind } from '@sidero/core';
import { type Random, seededRandom } from '@sidero/testing';
import type { BmcFaults } from '@sidero/testing/bmc';
import { aBinding, aServer, REF, T_MS, World } from './world.ts';

type Happening = (world: World, random: Random) => void;

const HAPPENINGS: Readonly<Record<string, Happening>> = {
  accept: (world) => world.change((draft) => void (draft.spec = { ...draft.spec, accepted: true })),
  unaccept: (world) => world.change((draft) => void (draft.spec = { ...draft.spec, accepted: false })),
  bind: (world) => void (world.server && !world.isBound && world.api.put(aBinding())),
  release: (world) => world.api.drop(ServerBindingKind, REF),
  delete: (world) => world.api.drop(ServerKind, REF),
  cordon: (world) => world.change((draft) => void (draft.spec = { ...draft.spec!, cordoned: true })),
  uncordon: (world) => world.change((draft) => void (draft.spec = { ...draft.spec!, cordoned: false })),
  crash: (world, random) => {
    world.crash();
    world.time.after(random.between(100, 120_000), () => world.start());
  },
  die: (world) => lose(world, 1),
  revive: (world) => lose(world, 0),
  want: (world, random) => annotate(world, 'metal.sidero.dev/power', random.pick(['on', 'off'])),
  unwant: (world) => annotate(world, 'metal.sidero.dev/power', undefined),
  ask: (world, random) => annotate(world, 'metal.sidero.dev/request', `${random.pick(REQUESTS)} ${random.hex(8)}`),
  fence: (world) => annotate(world, 'metal.sidero.dev/fence', 'them/3'),
  adopt: (world) => annotate(world, ADOPT_ANNOTATION, (server) => adoptionOf(server, 'us')),
  push: (world) => (world.chassis.isOn() ? world.chassis.powerOff() : world.chassis.powerOn({ device: 'normal', isPersistent: false })),
};
const REQUESTS = ['power-on', 'power-off', 'power-cycle', 'power-soft', 'power-read', 'wipe', 'wipe-plan', 'nonsense'];
/** Most schedules are about a life as it should be. */
const LIFE = ['accept', 'accept', 'bind', 'bind', 'release', 'release', 'crash', 'die', 'revive'];

function lose(world: World, lost: number): void {
  for (const bmc of world.bmcs) bmc.faults = { ...bmc.faults, lost };
}

function annotate(world: World, name: string, given: string | ((server: Server) => string) | undefined): void {
  world.change((draft) => {
    const { [name]: _before, ...others } = draft.metadata.annotations ?? {};
    const value = typeof given === 'function' ? given(draft) : given;
    draft.metadata.annotations = { ...others, ...(value === undefined ? {} : { [name]: value }) };
  });
}

function someFaults(random: Random): BmcFaults {
  const rate = (most: number) => (random.chance(0.4) ? random.fraction() * most : 0);
  return {
    refused: rate(0.2),
    silent: rate(0.3),
    slow: rate(0.5),
    flipped: rate(0.1),
    wrongState: rate(0.1),
    forgottenBoot: rate(0.3),
    refusedLogin: rate(0.1),
    full: rate(0.1),
    sessionReset: rate(0.1),
    lost: rate(0.2),
    late: rate(0.3),
  };
}

/** A schedule that was played to its end. */
export interface Course {
  readonly world: World;
  readonly happened: string[];
}

/** Plays one schedule: faults and events by chance, then a time in which nothing lies and nothing happens. */
export async function play(seed: number): Promise<Course> {
  const random = seededRandom('schedule', seed);
  const faults = Array.from({ length: random.chance(0.25) ? 2 : 1 }, () => someFaults(random));
  const world = new World(seed, { faults, isOn: random.chance(0.5) });
  Object.assign(world.chassis.faults, {
    wipeFails: random.chance(0.2) ? 0.5 : 0,
    wipeHangs: random.chance(0.1) ? 0.3 : 0,
    bootHangs: random.chance(0.2) ? 0.3 : 0,
  });
  world.apiFails = random.chance(0.3) ? 0.05 : 0;
  world.watchLagMs = random.chance(0.5) ? 1500 : 0;
  world.api.put(aServer(random.chance(0.8)));
  world.start();
  const happened: string[] = [];
  for (let left = random.between(1, 6); left > 0; left--) {
    await world.time.pass(random.chance(0.3) ? random.between(0, 5000) : random.between(0, 8 * 60_000));
    const name = random.pick(random.chance(0.7) ? LIFE : Object.keys(HAPPENINGS));
    const moment = random.chance(0.35) ? random.pick(['begun', 'wiped'] as const) : undefined;
    happened.push(`${world.time.now().toISOString()} ${name}${moment ? `, once it is ${moment}` : ''}`);
    if (moment) world.upon(moment, () => HAPPENINGS[name]!(world, random));
    else HAPPENINGS[name]!(world, random);
  }
  await heal(world);
  return { world, happened };
}

// From here on nothing lies, and nothing more happens.
async function heal(world: World): Promise<void> {
  world.upon(undefined, () => undefined);
  await world.time.pass(5000);
  for (const bmc of world.bmcs) bmc.faults = {};
  Object.assign(world.chassis.faults, { wipeFails: 0, wipeHangs: 0, bootHangs: 0 });
  world.apiFails = 0;
  await world.time.pass(3 * T_MS);
}

/** Why the server is not where it should be; undefined when it is, or when it stopped somewhere that has a name. */
export function misplaced({ world }: Course): string | undefined {
  const { server, isBound, chassis } = world;
  const { step, isClean, power, inUse } = server?.status ?? {};
  if (!server) return undefined;
  if (server.metadata.deletionTimestamp) return isBound ? undefined : 'it was deleted, and is still there';
  if (inUse !== isBound) return 'inUse is not what it should be';
  if (server.metadata.annotations?.['metal.sidero.dev/request']) return 'a request was not answered';
  if (['AwaitingAcceptance', 'Fenced', 'PowerHeld', 'WipeStopped'].includes(step?.name ?? '')) return undefined;
  if (power !== (chassis.isOn() ? 'on' : 'off')) return `its power is told as ${power}`;
  if (isBound) return chassis.isOn() ? undefined : 'it is in use, and off';
  if (step?.name === 'Cordoned') return undefined;
  if (!isClean) return 'it is free, and was not wiped';
  return chassis.isOn() ? 'it is clean and free, and on' : undefined;
}

/** Most times that power was taken away within a reboot time-out. */
export function mostCuts({ cuts }: World): number {
  return Math.max(0, ...cuts.map((from) => cuts.filter((cut) => cut >= from && cut.getTime() < from.getTime() + T_MS).length));
}
