import type { Progress, StageName } from '../machine/state.ts';

/** What firmware, iPXE, Linux and the agent write on the serial console, and the stage it tells of. */
const SIGNS: readonly { readonly text: RegExp; readonly stage: StageName }[] = [
  { text: /SeaBIOS|BdsDxe/g, stage: 'firmware' },
  { text: /Start PXE over|Configuring \(net\d/g, stage: 'dhcp' },
  { text: /Downloading NBP file/g, stage: 'tftp' },
  { text: /iPXE initialising|boot\.ipxe|\/ipxe\.\.\./g, stage: 'ipxe' },
  { text: /\/vmlinuz\.\.\./g, stage: 'kernel' },
  { text: /\/initramfs\.xz\.\.\./g, stage: 'initrd' },
  { text: /EFI stub|Probing EDD|Linux version/g, stage: 'linux' },
  { text: /\[sidero\] agent/g, stage: 'agent' },
  { text: /\[sidero\] registered/g, stage: 'registered' },
  { text: /\[sidero\] accepted/g, stage: 'accepted' },
];

/** Enough for the longest line between two signs that belong together. */
const TAIL_LENGTH = 4096;

/** Follows a machine by what it writes on its serial console. */
export class ConsoleFollower {
  stage: StageName = 'firmware';
  progress: Progress | undefined;
  readonly #sizes: Readonly<Record<string, number>>;
  #tail = '';

  /** @param sizes bytes of the files that iPXE shows the progress of, by the end of their path */
  constructor(sizes: Readonly<Record<string, number>>) {
    this.#sizes = sizes;
  }

  /** Takes what came; true when the stage has changed. */
  push(text: string): boolean {
    const tail = this.#tail + text;
    const last = lastSign(tail);
    const before = this.stage;
    if (last) this.stage = last.stage;
    // What lies before the last sign has said all it can.
    this.#tail = tail.slice(Math.max(last?.at ?? 0, tail.length - TAIL_LENGTH));
    this.progress = this.#progressIn(this.#tail);
    return this.stage !== before;
  }

  // iPXE overwrites its percentage in place: the last one counts.
  #progressIn(text: string): Progress | undefined {
    const [, file, after] = /^\/?(\S+?)\.\.\.(.*)/s.exec(text) ?? [];
    const totalBytes = file && this.#sizes[file];
    const percent = [...(after?.matchAll(/(\d+)%/g) ?? [])].at(-1)?.[1];
    return file && totalBytes && percent ? { subject: file, totalBytes, doneBytes: Math.round((totalBytes * Number(percent)) / 100) } : undefined;
  }
}

function lastSign(text: string): { readonly stage: StageName; readonly at: number } | undefined {
  let last: { readonly stage: StageName; readonly at: number } | undefined;
  for (const { text: pattern, stage } of SIGNS) {
    for (const match of text.matchAll(pattern)) if (!last || match.index > last.at) last = { stage, at: match.index };
  }
  return last;
}
