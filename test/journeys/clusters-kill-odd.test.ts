import { test } from 'vitest';
import { killSeeds } from './clusters/kill-seeds.ts';
import { playKillSchedule } from './clusters/kill-schedule.ts';

test.concurrent.each(killSeeds('odd'))(
  'kill schedule %s ends without a double allocation, a wipe or a reboot of a server in use, a config in wrong hands, or an orphan',
  { timeout: 300_000 },
  (seed) => playKillSchedule(seed),
);
