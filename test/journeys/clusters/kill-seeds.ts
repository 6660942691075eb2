/** How many schedules `npm test` runs, and the first seed: another first seed is another 200 schedules. */
const SCHEDULES = Number(process.env['SIDERO_KILL_SCHEDULES'] ?? 200);
const FIRST = Number(process.env['SIDERO_KILL_SEED'] ?? 1);

/** A share of the seeds, so that as many processes as there are test files play them. */
export function killSeeds(share: 'even' | 'odd'): readonly number[] {
  const rest = share === 'even' ? 0 : 1;
  return Array.from({ length: SCHEDULES }, (_, index) => FIRST + index).filter((seed) => seed % 2 === rest);
}
