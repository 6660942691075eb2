import { agentClient } from '@sidero/plugin-agent/protocol';
import { runAgent } from './agent.ts';
import { openConsole } from './console.ts';
import { linuxMachine } from './linux.ts';
import { type Machine, StageFailure } from './machine.ts';

const COUNTDOWN_S = 10;

// Replaced when the program is bundled.
declare const AGENT_VERSION: string;

/** The program of the machine. It ends by restarting the machine, whatever happens. */
async function main(): Promise<void> {
  const { signal } = new AbortController();
  const machine = linuxMachine(openConsole());
  const crashed = new Promise<never>((_resolve, reject) => {
    process.on('uncaughtException', reject);
    process.on('unhandledRejection', reject);
  });
  try {
    machine.say(`agent ${AGENT_VERSION}, Node ${process.version}`);
    const connect = (target: string, token: string | undefined) => agentClient({ target, token, waitForReady: true });
    const why = await Promise.race([runAgent(machine, { version: AGENT_VERSION, connect, signal }), crashed]);
    machine.say(why);
  } catch (thrown) {
    machine.say(thrown instanceof StageFailure ? `${thrown.stage}: ${thrown.message}` : String((thrown as Error)?.stack ?? thrown), 'error');
    await countDown(machine);
  }
  await machine.reboot();
  machine.say('the machine could not be restarted', 'error');
  // The init script tries once more.
  process.exit(1);
}

/** Time to read what went wrong. */
async function countDown(machine: Machine): Promise<void> {
  const never = new AbortController().signal;
  for (let seconds = COUNTDOWN_S; seconds >= 0; seconds--) {
    machine.say(`rebooting in ${seconds} seconds`);
    await machine.pause(1000, never);
  }
}

void main();
