import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { failure, hasCode, messageOf } from '../errors.ts';
import { askServer } from './ask-server.ts';
import { diskTable } from './disk-table.ts';
import { type Following, withWait } from './follow-server.ts';
import { run } from './power.ts';
import { type ApiOptions, withApiOptions } from './running-sidero.ts';

interface Options extends ApiOptions {
  readonly wait: number;
  readonly plan?: boolean;
  readonly yes?: boolean;
}

/** `sidero wipe SERVER`: a free server's disks are wiped (again), after a look at the plan. */
export function wipeCommand(program: Command): void {
  withApiOptions(withWait(program.command('wipe <server>')))
    .description('wipe the disks of a free server (again); also after a wipe that failed or was stopped')
    .option('--plan', 'only show what would be done to which disk')
    .option('--yes', 'do not ask')
    .action((name: string, options: Options) => run(name, options, (following) => (options.plan ? plan(following) : wipe(following, options))));
}

async function plan(following: Following): Promise<string> {
  const server = await askServer(following, 'wipe-plan');
  const record = server?.status?.wipe;
  return record ? diskTable(record).join('\n') : `server ${following.server}: asked for wipe-plan; it will be in status.wipe`;
}

async function wipe(following: Following, { yes }: Options): Promise<string> {
  const { server: name } = following;
  if (!yes) await confirm(following);
  await askServer(following, 'wipe');
  return `server ${name}: it is wiped at its next network boot, which is ordered; sidero why ${name} tells how far it is`;
}

async function confirm(following: Following): Promise<void> {
  const { server, tell } = following;
  if (!process.stdin.isTTY) throw failure('SIDERO_WIPE_UNCONFIRMED', { server });
  tell(await planOrWhyNone(following));
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`Wipe the disks of ${server}? All data on them is lost. (yes/no) `, { signal: following.sidero.signal });
    if (answer.trim() !== 'yes') throw failure('SIDERO_WIPE_UNCONFIRMED', { server });
  } finally {
    prompt.close();
  }
}

// A clean server has no plan, and may be wiped again all the same; whether it may is said with the request itself.
async function planOrWhyNone(following: Following): Promise<string> {
  try {
    return await plan({ ...following, waitMs: following.waitMs || 10_000 });
  } catch (thrown) {
    if (!hasCode(thrown, 'SIDERO_REQUEST_FAILED')) throw thrown;
    return messageOf(thrown);
  }
}
