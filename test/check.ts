/** `npm run check`: types, lint, format, generated files. Says nothing but a line for each that is in order. */
import { type Outcome, runCommand } from './command.ts';

const CHECKS: readonly { readonly name: string; readonly command: readonly [string, ...string[]]; readonly fix?: string }[] = [
  { name: 'types', command: ['tsc', '-b'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '-c', '.oxlintrc.json'] },
  { name: 'format', command: ['biome', 'format', '.'], fix: 'npm run format' },
  { name: 'generated files', command: ['vitest', 'run', 'types.test', '_pb.test'], fix: 'npm run types' },
];

/** Runs all checks, shows the output of those that fail, and gives their number. */
export async function check(signal: AbortSignal): Promise<number> {
  let failures = 0;
  for (const { name, command, fix } of CHECKS) {
    const outcome: Outcome = await runCommand(command, { signal });
    if (signal.aborted) return failures;
    const isGood = outcome.code === 0;
    if (!isGood) process.stdout.write(`${outcome.output.trimEnd()}\n`);
    const advice = isGood ? '' : `: \`${command.join(' ')}\`${fix ? `; to put it right: ${fix}` : ''}`;
    process.stdout.write(`  ${isGood ? 'ok    ' : 'FAILED'} ${name} (${outcome.seconds.toFixed(1)} s)${advice}\n`);
    if (!isGood) failures++;
  }
  return failures;
}

if (import.meta.main) {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  const failures = await check(stop.signal);
  process.exitCode = stop.signal.aborted ? 130 : Math.min(failures, 1);
}
