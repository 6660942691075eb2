import { messageOf } from '@sidero/core';
import { playKillSchedule } from '../journeys/clusters/kill-schedule.ts';
import { playMoveSchedule } from '../real/cluster-api/kill-move-schedule.ts';
import { KillMoveWorld } from '../real/cluster-api/kill-move-world.ts';

/** What is to be played, and for how long. */
export interface SoakWish {
  readonly kind: 'embedded' | 'real';
  /** Default: as many as fit into `minutes`. */
  readonly count: number | undefined;
  readonly minutes: number | undefined;
  /** The first one; the others follow. */
  readonly seed: number;
  /** Of the embedded ones. */
  readonly atOnce: number;
}

/** Real schedules that share their API servers; then all of it begins anew. */
const SHARING = 10;

type Play = (seed: number) => Promise<void>;

/** Plays schedules, and prints what became of each. Gives how many failed. */
export async function soak(wish: SoakWish): Promise<number> {
  const seeds = seedsOf(wish);
  let played = 0;
  const failed: number[] = [];
  const one = async (seed: number, play: Play): Promise<void> => {
    const startedMs = performance.now();
    const problem = await play(seed).then(
      () => undefined,
      (thrown: unknown) => messageOf(thrown),
    );
    played++;
    if (problem !== undefined) failed.push(seed);
    say(`seed ${seed} ${problem === undefined ? 'ok' : 'FAILED'}, ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    if (problem !== undefined) say(`${problem}\nagain: npm run soak -- --kind ${wish.kind} --seed ${seed} --count 1`);
  };
  await (wish.kind === 'real' ? playReal(seeds, one) : playEmbedded(seeds, { atOnce: wish.atOnce, one }));
  say(`${played} schedules, ${failed.length} failed${failed.length > 0 ? `: ${failed.join(' ')}` : ''}`);
  return failed.length;
}

function* seedsOf({ count, minutes, seed }: SoakWish): Generator<number, void, undefined> {
  const endMs = minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + minutes * 60_000;
  for (let index = 0; index < (count ?? Number.POSITIVE_INFINITY) && performance.now() < endMs; index++) yield seed + index;
}

type One = (seed: number, play: Play) => Promise<void>;

async function playEmbedded(seeds: Iterator<number>, { atOnce, one }: { atOnce: number; one: One }): Promise<void> {
  const player = async () => {
    for (let next = seeds.next(); !next.done; next = seeds.next()) await one(next.value, playKillSchedule);
  };
  await Promise.all(Array.from({ length: atOnce }, player));
}

async function playReal(seeds: Iterator<number>, one: One): Promise<void> {
  for (let next = seeds.next(); !next.done; ) {
    await using world = await KillMoveWorld.start();
    for (let shared = 0; shared < SHARING && !next.done; shared++, next = seeds.next())
      await one(next.value, (seed) => playMoveSchedule(world, seed));
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
