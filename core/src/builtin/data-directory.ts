import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { definePlugin, type Service, type Sidero } from '../index.ts';

const LOOK_MS = 5000;
/** Room is short below this: the files of an Environment take 100 MB. Of a small disk a twentieth is enough. */
const SHORT_BYTES = 512e6;

/**
 * Watches the room that is left in the data directory, where Environments, kept lines and the embedded API are written. Without any, this replica
 * stays ready: machines that boot need no room, and would not boot at all from a replica that nobody is sent to.
 */
export const dataDirectory = definePlugin({
  name: 'data-directory',
  options: z.strictObject({}),
  setup: (sidero) => sidero.services.add(roomService(sidero)),
});

/** Of a file system, for whoever is not root. */
export interface Room {
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** Whether room is short. It is so until there is twice as much, or who sits at the limit would be told again and again. */
export function isShort({ freeBytes, sizeBytes }: Room, before: boolean): boolean {
  return freeBytes < Math.min(SHORT_BYTES, sizeBytes / 20) * (before ? 2 : 1);
}

function roomService({ log, metrics, site: { dataDir } }: Sidero): Service {
  const free = metrics.gauge('sidero_data_dir_free_bytes', 'Room left on the disk of the data directory.');
  let problem: string | undefined;
  const look = async (): Promise<void> => {
    const room = await roomIn(dataDir);
    if (!room) return;
    const { freeBytes } = room;
    free(freeBytes);
    const [before, about] = [problem, { folder: dataDir, freeBytes }];
    problem = isShort(room, before !== undefined) ? `${Math.floor(freeBytes / 1e6)} MB are left in ${dataDir}: ${NEXT}` : undefined;
    if (problem !== undefined && before === undefined) log.warn(about, problem);
    if (problem === undefined && before !== undefined) log.info(about, 'there is room in the data directory again');
  };
  return {
    name: 'data-directory',
    where: 'every',
    note: () => problem,
    async run(signal, ready) {
      ready();
      while (!signal.aborted) {
        await look();
        await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}

const NEXT =
  'make room, or move it to a larger disk (dataDir); when it is full, no Environment is fetched and no line kept, and the embedded API takes no change';

// Undefined: it is not there yet; whoever needs it first makes it.
async function roomIn(folder: string): Promise<Room | undefined> {
  const found = await statfs(folder).catch(() => undefined);
  return found && { freeBytes: found.bavail * found.bsize, sizeBytes: found.blocks * found.bsize };
}
