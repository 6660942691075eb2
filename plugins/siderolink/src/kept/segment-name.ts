import { createHash } from 'node:crypto';

/** A file of kept lines: which boot of the machine it is of, and where it stands among that. */
export interface Segment {
  /** Counted from 1, the first boot that was ever seen. */
  readonly boot: number;
  /** Tells boots apart that have the same number by mistake; of the machine's key at that boot. */
  readonly mark: string;
  /** Counted from 1 over all boots. */
  readonly number: number;
}

/** Such names sort as the lines in them do. */
export function segmentName({ boot, mark, number }: Segment): string {
  return `${String(boot).padStart(6, '0')}-${mark}-${String(number).padStart(8, '0')}.log`;
}

/** Undefined: it is no file of ours. */
export function segmentOf(name: string): Segment | undefined {
  const [, boot, mark, number] = /^(\d{6,})-([0-9a-f]{8})-(\d{8,})\.log$/.exec(name) ?? [];
  return mark === undefined ? undefined : { boot: Number(boot), mark, number: Number(number) };
}

/** Of files in a folder those that are segments, the oldest first. */
export function segmentsIn(names: readonly string[]): Segment[] {
  return names.flatMap((name) => segmentOf(name) ?? []).toSorted((a, b) => a.number - b.number);
}

/** What tells the boot apart in which a machine has this key. */
export function markOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}
