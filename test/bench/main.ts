/** `npm run bench`: what the management plane does beside a peer on the same machine. Asserts nothing. */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureAllocation } from './allocation.ts';
import { measureConfigdata } from './configdata.ts';
import { measureIpxe } from './ipxe.ts';
import { measureKernelLogs } from './kernel-logs.ts';
import { type Measurement, table, withTable } from './measure.ts';
import { measurePower } from './power.ts';
import { measureProcess } from './process.ts';
import { measureRegistrations } from './registrations.ts';
import { measureScale } from './scale.ts';
import { measureSideroLink } from './siderolink.ts';
import { measureTalosEvents } from './talos-events.ts';
import { measureTftp } from './tftp.ts';
import { measureWipe } from './wipe.ts';

const HELP = `Usage: npm run bench -- [options]

  --only X   only the measurements whose name contains X: ipxe, configdata, registrations, tftp, power, wipe, process, allocation, scale, kernellogs, talosevents, siderolink
  --json     print the figures as JSON instead of a table
  --readme   write the table into README.md, between its markers
`;

const MEASURES = [
  measureIpxe,
  measureConfigdata,
  measureRegistrations,
  measureTftp,
  measurePower,
  measureWipe,
  measureProcess,
  measureAllocation,
  measureScale,
  measureKernelLogs,
  measureTalosEvents,
  measureSideroLink,
];

const README = fileURLToPath(new URL('../../README.md', import.meta.url));

async function main(): Promise<void> {
  const options = { only: { type: 'string' }, json: { type: 'boolean' }, readme: { type: 'boolean' }, help: { type: 'boolean' } } as const;
  const { values } = parseArgs({ options });
  if (values.help) return void process.stdout.write(HELP);
  const measurements: Measurement[] = [];
  for (const measure of MEASURES.filter(({ name }) => name.toLowerCase().includes(values.only ?? ''))) {
    process.stderr.write(`${measure.name} ...\n`);
    measurements.push(...(await measure()));
  }
  const where = `Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, ${new Date().toISOString().slice(0, 10)}`;
  const report = `${table(measurements)}\n\n${where}. Load and server share the machine.`;
  process.stdout.write(values.json ? `${JSON.stringify({ where, measurements })}\n` : `${report}\n`);
  if (values.readme) await writeReadme(report);
}

async function writeReadme(report: string): Promise<void> {
  const changed = withTable(await readFile(README, 'utf8'), report);
  if (changed === undefined) throw new Error(`${README} has no <!-- bench:start --> and <!-- bench:end -->`);
  await writeFile(README, changed);
}

await main();
