import type { Command } from 'commander';
import { failure } from '../errors.ts';
import { POWER_ANNOTATION, wantedPowerOf } from '../power/request.ts';
import type { Server } from '../resources/kinds.ts';
import { annotate, askServer } from './ask-server.ts';
import { type Following, followServer, withWait } from './follow-server.ts';
import { type ApiOptions, runningSidero, serverNamed, withApiOptions } from './running-sidero.ts';

type Options = ApiOptions & { readonly wait: number; readonly keep?: boolean; readonly yes?: boolean };
type Verb = 'on' | 'off' | 'cycle' | 'soft';

/** `sidero power …`: the power of one Server, through whatever driver manages it. */
export function powerCommand(program: Command): void {
  const power = program.command('power').description('read and switch the power of a server');
  const add = (name: string, description: string): Command => withApiOptions(withWait(power.command(`${name} <server>`).description(description)));
  add('status', 'ask the device whether the machine is on').action((name: string, options: Options) => run(name, options, status));
  const addSwitch = (verb: Verb, description: string): Command =>
    verb === 'on' ? add(verb, description) : add(verb, description).option('--yes', 'also when it is in use or being wiped');
  for (const state of ['on', 'off'] as const) {
    addSwitch(state, state === 'on' ? 'switch it on' : 'switch it off, hard: without a shutdown of its operating system')
      .option('--keep', `keep it ${state}, whatever Sidero would do; ended by: sidero power auto`)
      .action((name: string, options: Options) =>
        run(name, options, async (following) => {
          await refuseAtWork(following, { ...options, verb: state });
          return options.keep ? keep(following, state) : switched(following, state);
        }),
      );
  }
  const once = { cycle: 'switch it off, hard, and on', soft: 'ask its operating system to shut down' } as const;
  for (const verb of ['cycle', 'soft'] as const) {
    addSwitch(verb, once[verb]).action((name: string, options: Options) =>
      run(name, options, async (following) => {
        await refuseAtWork(following, { ...options, verb });
        return switched(following, verb);
      }),
    );
  }
  withApiOptions(power.command('auto <server>').description('leave its power to Sidero again, after on or off with --keep')).action(
    (name: string, options: ApiOptions) => run(name, { ...options, wait: 0 }, auto),
  );
}

/** Runs one command about one Server; what it gives is printed. Ctrl-C ends it with 130, as a shell has it. */
export async function run(name: string, options: Options, command: (following: Following) => Promise<string>): Promise<void> {
  await using sidero = runningSidero(options);
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  try {
    const text = await command({ sidero, server: name, waitMs: options.wait, tell });
    process.stdout.write(`${text}\n`);
  } catch (thrown) {
    if (!sidero.signal.aborted) throw thrown;
    tell('interrupted');
    process.exitCode = 130;
  }
}

async function status(following: Following): Promise<string> {
  const { server: name } = following;
  const server = await askServer(following, 'power-read');
  return server ? `server ${name}: ${powerOf(server)}` : `server ${name}: asked; last known: ${powerOf(await serverNamed(following.sidero, name))}`;
}

/** A slip of the finger must not take a node out of its cluster. @throws SIDERO_POWER_UNCONFIRMED */
async function refuseAtWork({ sidero, server: name }: Following, { verb, yes }: { verb: Verb; yes?: boolean }): Promise<void> {
  if (verb === 'on' || yes) return;
  const { status } = await serverNamed(sidero, name);
  const isWiping = ['handed', 'running'].includes(status?.wipe?.state ?? '');
  if (status?.inUse || isWiping)
    throw failure('SIDERO_POWER_UNCONFIRMED', { server: name, verb, why: status?.inUse ? 'it is in use' : 'it is being wiped' });
}

async function switched(following: Following, verb: Verb): Promise<string> {
  const { server: name } = following;
  const server = await askServer(following, `power-${verb}`);
  if (!server) return `server ${name}: asked for power-${verb}; sidero why ${name} tells what became of it`;
  const { driver } = server.status?.powerAction ?? {};
  return `server ${name}: power-${verb} is done${driver ? ` by ${driver}` : ''}${whatFollows(server, verb)}`;
}

// Somebody may have said before how it is to be.
function whatFollows(server: Server, verb: Verb): string {
  const wanted = wantedPowerOf(server);
  if (!wanted || (verb === 'on' || verb === 'cycle' ? 'on' : 'off') === wanted) return '';
  return `; it is kept ${wanted}, and goes back to that; sidero power auto ${server.metadata.name} ends it`;
}

async function keep(following: Following, state: 'on' | 'off'): Promise<string> {
  const { server: name, sidero, waitMs } = following;
  await serverNamed(sidero, name);
  const begin = () => annotate(following, (annotations) => ({ ...annotations, [POWER_ANNOTATION]: state }));
  const kept = `it is kept ${state} until sidero power auto ${name}`;
  if (waitMs === 0) {
    await begin();
    return `server ${name}: ${kept}`;
  }
  const outcome = (server: Server) => (wantedPowerOf(server) === state && server.status?.power === state ? server : undefined);
  const server = await followServer(following, { what: `power ${state}`, begin, outcome });
  if (!server) throw failure('SIDERO_REQUEST_UNANSWERED', { server: name, request: `power ${state} --keep`, waitMs });
  return `server ${name}: ${kept}`;
}

async function auto(following: Following): Promise<string> {
  await annotate(following, ({ [POWER_ANNOTATION]: _wanted, ...others }) => others);
  return `server ${following.server}: its power is left to Sidero`;
}

/** The power of a Server in words: "on; kept on". */
function powerOf(server: Server): string {
  const wanted = wantedPowerOf(server);
  return `${server.status?.power ?? 'unknown'}${wanted ? `; kept ${wanted}` : ''}`;
}
