/** `npm test`: checks, units and journeys, then real parts. `npm test -- --help` tells the options. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { check } from './check.ts';
import { runCommand } from './command.ts';
import { agentImage, bmcs, clusterApi, containers, kubernetes, machines, type Part, talosImage, tunnels } from './real/parts/parts.ts';

const HELP = `npm test [-- [--only check|units|real]... [--no-install] [FILTER...]]

  --only STAGE   run only this stage (may be repeated)
                   check  types, lint, format, generated files
                   units  units and journeys, on simulators
                   real   kube-apiserver, Cluster API, TFTP clients, QEMU machines, BMCs of others
  --no-install   leave this machine alone: no Debian packages, no Go builds
  FILTER         only test files whose path contains it

What real parts need is installed where that is possible: Debian packages as root, programs built
with Go and packages of PyPI into \${SIDERO_TEST_CACHE:-~/.cache/sidero-test}. What cannot be had is skipped and named;
with CI=true a skip is a failure.
`;

const STAGES = ['check', 'units', 'real'] as const;
type Stage = (typeof STAGES)[number];

interface Wish {
  readonly stages: readonly Stage[];
  readonly filters: readonly string[];
  readonly mayInstall: boolean;
}

/** Tests by outcome. */
interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** The parts of a vitest JSON report that are read. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** @throws TypeError on options that are not in HELP */
function readWish(): Wish {
  const { values, positionals } = parseArgs({
    options: { only: { type: 'string', multiple: true }, 'no-install': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const only = (values.only ?? []).flatMap((text) => text.split(','));
  const unknown = only.find((name) => !STAGES.includes(name as Stage));
  if (unknown !== undefined) throw new TypeError(`--only ${unknown}: the stages are ${STAGES.join(', ')}`);
  // A filter names test files; the checks have none.
  const stages = STAGES.filter((name) => (only.length > 0 ? only.includes(name) : positionals.length === 0 || name !== 'check'));
  return { stages, filters: positionals, mayInstall: !values['no-install'] };
}

function wishOrExit(): Wish {
  try {
    return readWish();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

/** Runs one vitest configuration; a run that fails without a failed test counts as one. */
async function vitest(config: string, { filters, signal }: { filters: readonly string[]; signal: AbortSignal }): Promise<Tally> {
  const folder = await mkdtemp(join(tmpdir(), 'sidero-test-'));
  const file = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`, '--silent=passed-only', '--slowTestThreshold=600000'];
  const { code } = await runCommand(['vitest', 'run', '--config', config, ...reporters, '--passWithNoTests', ...filters], { signal, isShown: true });
  const report = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Report,
    () => undefined,
  );
  await rm(folder, { recursive: true, force: true });
  const failed = report?.numFailedTests ?? 0;
  return {
    passed: report?.numPassedTests ?? 0,
    failed: code === 0 ? failed : Math.max(failed, 1),
    skipped: (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0),
  };
}

async function stage(title: string, run: () => Promise<Tally>): Promise<Tally> {
  const start = performance.now();
  say(`\n== ${title}`);
  const tally = await run();
  say(`== ${title}: ${tally.failed === 0 ? 'ok' : 'FAILED'}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return tally;
}

/** Starts getting the real parts, slow ones in the background of the other stages. */
function startParts(wish: Wish, signal: AbortSignal): Promise<readonly Part[]> {
  const means = { mayInstall: wish.mayInstall, signal, say: (line: string) => say(`-- ${line}`) };
  // One after the other: apt-get stands in its own way.
  const machinesThenRest = machines(means).then(async (part) => [
    part,
    await tunnels(means),
    await containers(means),
    await bmcs(means),
    await agentImage(means),
  ]);
  // So do two builds with Go, in memory.
  const programs = kubernetes(means).then(async (part) => [part, ...(await clusterApi(means))]);
  return Promise.all([programs, machinesThenRest]).then(async (parts) => [...parts.flat(), await talosImage(means)]);
}

async function runStages(wish: Wish, signal: AbortSignal): Promise<{ tallies: readonly Tally[]; parts: readonly Part[] }> {
  const wantsReal = wish.stages.includes('real');
  const parts = wantsReal ? startParts(wish, signal) : Promise.resolve([]);
  const tallies: Tally[] = [];
  if (wish.stages.includes('check')) {
    tallies.push(await stage('types, lint, format, generated files', async () => ({ passed: 0, failed: await check(signal), skipped: 0 })));
  }
  if (wish.stages.includes('units') && !signal.aborted) {
    tallies.push(await stage('units and journeys', () => vitest('vitest.config.ts', { ...wish, signal })));
  }
  if (wantsReal && !signal.aborted) {
    await parts;
    tallies.push(await stage('real parts', () => vitest('vitest.real.config.ts', { ...wish, signal })));
  }
  return { tallies, parts: await parts };
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
const { tallies, parts } = await runStages(wishOrExit(), stop.signal);

const sum: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const tally of tallies) for (const key of ['passed', 'failed', 'skipped'] as const) sum[key] += tally[key];
const missing = parts.filter((part) => part.missing !== undefined);
say('');
if (stop.signal.aborted) say('stopped before the end');
for (const part of missing) say(`skipped: tests with ${part.name}:\n    ${part.missing}`);
const isSkipFatal = process.env['CI'] === 'true' && (sum.skipped > 0 || missing.length > 0);
if (isSkipFatal) say('CI=true: what is skipped counts as failed');
say(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = stop.signal.aborted ? 130 : sum.failed > 0 || isSkipFatal ? 1 : 0;
