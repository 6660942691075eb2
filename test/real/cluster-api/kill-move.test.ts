import { afterAll, beforeAll, describe, test } from 'vitest';
import { isPossible } from '../sidero-on-kubernetes.ts';
import { isTalosBuilt } from '../talos/program.ts';
import { playMoveSchedule } from './kill-move-schedule.ts';
import { KillMoveWorld } from './kill-move-world.ts';
import { isClusterApiBuilt } from './parts.ts';

/** Schedules that are run, and the first seed. */
const SCHEDULES = Number(process.env['SIDERO_KILL_MOVE_SCHEDULES'] ?? 10);
const FIRST = Number(process.env['SIDERO_KILL_MOVE_SEED'] ?? 1);

describe.skipIf(!isPossible || !isClusterApiBuilt() || !isTalosBuilt)('kill -9 of sidero start, and of clusterctl move', () => {
  let world: KillMoveWorld;
  beforeAll(async () => {
    world = await KillMoveWorld.start();
  }, 300_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  // Each goes on where the one before it ended: at the management cluster to which that moved.
  test.each(Array.from({ length: SCHEDULES }, (_, index) => index + FIRST))(
    'schedule %s: workers come, the cluster is moved, workers go; no machine in use is touched, each has one owner, and nothing is left bound',
    { timeout: 400_000 },
    (seed) => playMoveSchedule(world, seed),
  );
});
