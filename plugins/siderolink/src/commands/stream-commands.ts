import { join, resolve } from 'node:path';
import type { Sidero } from '@sidero/core';
import { followSocket } from '../outlets/follow-socket.ts';
import { untilInterrupted } from './until-interrupted.ts';

/** The socket of the stream of that name, in the data directory. */
export function streamPath(dataDir: string, name: 'logs' | 'events'): string {
  return join(dataDir, 'stream', `${name}.sock`);
}

/** `sidero serverlogs` and `sidero serverevents`: what the containers of these names print, each on the output that the original's uses. */
export function addStreamCommands({ commands, site }: Sidero): void {
  const streams = [
    { name: 'serverlogs', stream: 'logs', what: 'the kernel logs of all machines on stdout', output: process.stdout },
    { name: 'serverevents', stream: 'events', what: "Talos' events of all machines on stderr", output: process.stderr },
  ] as const;
  for (const { name, stream, what, output } of streams) {
    commands.add({
      name,
      define(command) {
        command
          .description(`print ${what} as they come, from the sidero that runs beside`)
          .option('--data-dir <folder>', `data directory of the running sidero (default: ${site.dataDir})`)
          .action((options: { readonly dataDir?: string }) =>
            untilInterrupted(output, (signal) => {
              const path = streamPath(resolve(options.dataDir ?? site.dataDir), stream);
              return followSocket({ path, output, signal, onSilence: () => tellSilence(path) });
            }),
          );
      },
    });
  }
}

// As the lines beside it are; whoever looks for records passes it over.
function tellSilence(path: string): void {
  const msg = 'nothing comes now: no sidero that leads runs here. Where several replicas run, one leads, and its containers print the lines';
  process.stderr.write(`${JSON.stringify({ level: 'info', ts: Date.now() / 1000, msg, path })}\n`);
}
