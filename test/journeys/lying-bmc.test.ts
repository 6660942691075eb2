import { expect, test } from 'vitest';
import { type Course, misplaced, mostCuts, play } from './lying-bmc/schedule.ts';

/** How many schedules, and from which on: one that failed is played alone by SIDERO_SCHEDULE=<its number> SIDERO_SCHEDULES=1. */
const SCHEDULES = Number(process.env['SIDERO_SCHEDULES'] ?? 10_000);
const FIRST = Number(process.env['SIDERO_SCHEDULE'] ?? 0);
/** Times that power is taken from a machine within a reboot time-out, by us and by persons: it boots for minutes, and must come to it. */
const MOST_CUTS = 8;

/** What happened, and where it led. */
function story({ world, happened }: Course): string {
  const told = world.api.events.slice(-8).map(({ message }) => message);
  return [...happened, JSON.stringify(world.server?.status, null, 1), ...told].join('\n');
}

test('whatever BMCs say and whenever we crash: servers end where they should, and nobody else is rebooted, switched off or wiped', {
  timeout: 900_000,
}, async () => {
  const wrong: string[] = [];
  const ends = new Set<string>();
  for (let schedule = FIRST; schedule < FIRST + SCHEDULES && wrong.length < 3; schedule++) {
    const course = await play(schedule);
    const problems = [misplaced(course), ...course.world.violations, mostCuts(course.world) > MOST_CUTS ? 'it is cycled endlessly' : undefined];
    const [problem] = problems.filter((found) => found !== undefined);
    if (problem) wrong.push(`schedule ${schedule}: ${problem}\n${story(course)}`);
    ends.add(course.world.server?.status?.step?.name ?? 'gone');
  }
  expect(wrong.join('\n\n')).toBe('');
  // Else the schedules were about nothing.
  if (SCHEDULES > 1000)
    expect([...ends]).toEqual(expect.arrayContaining(['Clean', 'InUse', 'gone', 'Deleting', 'Fenced', 'PowerHeld', 'WipeStopped']));
});
