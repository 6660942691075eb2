import { type DiskRecord, isTrue, type Server, type ServerBinding } from '@sidero/core';
import type { Progress } from '../machine/state.ts';

/** What the API says of a machine. Only this makes it count, whatever the machine believes. */
export interface Standing {
  /** `spec.accepted`. */
  readonly isAccepted: boolean;
  /** `status.isClean`. */
  readonly isClean: boolean;
  /** `status.power`, as the machine's power driver read it. */
  readonly isOff: boolean;
  /** It was wiped, and may be in use since. */
  readonly isWiped: boolean;
  /** Talos says that it is installed. */
  readonly isInstalled: boolean;
  /** Its kernel log has been heard. */
  readonly isStreaming: boolean;
  /** How far the wipe is that goes on now. */
  readonly wipe?: Progress;
  /** Why it is where it is, for when the time is up. */
  readonly why?: string;
  /** What keeps it from going on. */
  readonly trouble?: string;
}

/** How far a demo takes its machines. */
export interface Goal {
  /** What a machine is that has got there: "3 of 3 ...". */
  readonly words: string;
  isReached(standing: Standing): boolean;
}

/** Wiped and off, free for whoever wants it. */
export const CLEAN: Goal = { words: 'clean and off', isReached: ({ isClean, isOff }) => isClean && isOff };
/** A node of a cluster, on its disk, that is heard. */
export const INSTALLED: Goal = { words: 'installed and streaming', isReached: ({ isInstalled, isStreaming }) => isInstalled && isStreaming };

/** Names of `status.step` in which a server waits for somebody to put something right. */
const TROUBLES = ['BmcTrouble', 'Cordoned', 'Fenced', 'Held', 'NeedsHands', 'PowerFailing', 'PowerHeld', 'WipeStopped'];

/** A machine without a Server. */
export const UNKNOWN: Standing = {
  isAccepted: false,
  isClean: false,
  isOff: false,
  isWiped: false,
  isInstalled: false,
  isStreaming: false,
};

/** What else than the Server tells of a machine. */
export interface InUse {
  readonly binding: ServerBinding | undefined;
  readonly isStreaming: boolean;
}

export function standingOf({ spec, status }: Server, inUse?: InUse): Standing {
  const { state, message, disks = [] } = status?.wipe ?? {};
  const { name = '', reason } = status?.step ?? {};
  const failure = state === 'failed' || state === 'stalled' ? message : undefined;
  const why = failure ?? reason;
  const trouble = failure ?? (TROUBLES.includes(name) ? reason : undefined);
  return {
    isAccepted: spec?.accepted === true,
    isClean: status?.isClean === true,
    isOff: status?.power === 'off',
    isWiped: status?.isClean === true || state === 'done',
    isInstalled: isTrue(inUse?.binding?.status?.conditions, 'TalosInstalled'),
    isStreaming: inUse?.isStreaming ?? false,
    ...((state === 'handed' || state === 'running') && { wipe: progressOf(disks) }),
    ...(why && { why }),
    ...(trouble && { trouble }),
  };
}

function progressOf(disks: readonly DiskRecord[]): Progress {
  const wiped = disks.filter((disk) => disk.method !== 'keep');
  const sum = (pick: (disk: DiskRecord) => number | undefined) => wiped.reduce((total, disk) => total + (pick(disk) ?? 0), 0);
  return { subject: diskCount(disks.length), doneBytes: sum((disk) => disk.doneBytes), totalBytes: sum((disk) => disk.sizeBytes) };
}

const diskCount = (count: number) => (count === 1 ? '1 disk' : `${count} disks`);
