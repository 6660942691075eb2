import { SideroError } from '@sidero/core';
import { demoOptions, HELP } from './options.ts';

/** Status of a process that a signal ended, as shells give it. */
const STATUS_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;

/** The first Ctrl-C stops everything in order, the second at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const [name, status] of Object.entries(STATUS_OF_SIGNAL)) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(status);
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  return stop.signal;
}

async function main(): Promise<number> {
  const signal = stopSignal();
  try {
    const options = demoOptions(process.argv.slice(2));
    if (!options) {
      process.stdout.write(HELP);
      return 0;
    }
    // Loaded late: what is wrong with the command line is told at once.
    const { runDemo } = await import('./demo.ts');
    await runDemo({ options, output: process.stdout, signal });
    return signal.aborted && options.isOnce ? STATUS_OF_SIGNAL.SIGINT : 0;
  } catch (thrown) {
    if (signal.aborted) return STATUS_OF_SIGNAL.SIGINT;
    process.stderr.write(`${thrown instanceof SideroError ? thrown.toText() : String((thrown as Error).stack)}\n`);
    return 1;
  }
}

// Leaves at once: nothing that is still open may hold the terminal.
process.exit(await main());
