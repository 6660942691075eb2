import type { Progress, StageName } from '../machine/state.ts';

/** A stage, and where in a text it is told; `detail` is why it goes no further. */
interface Sign {
  readonly stage: StageName;
  readonly at: number;
  readonly detail: string | undefined;
}

/**
 * What firmware, iPXE, Linux and the agent write on the serial console, and the stage it tells of; a group is the detail. Where two begin at the
 * same place, the first counts.
 */
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
  { text: /\[sidero\] accepted, waiting; nothing is wiped: ([^\r\n]*)[\r\n]/g, stage: 'accepted' },
  { text: /\[sidero\] accepted/g, stage: 'accepted' },
  { text: /\[sidero\] the wipe failed: ([^\r\n]*)[\r\n]/g, stage: 'accepted' },
  { text: /\[sidero\] wiping/g, stage: 'wiping' },
  { text: /\[sidero\] wipe complete/g, stage: 'clean' },
  // The stand-in for Talos.
  { text: /"event":"retry","detail":"([^"]*)"/g, stage: 'configuring' },
  { text: /"event":"config"/g, stage: 'installing' },
  { text: /"event":"running"/g, stage: 'running' },
];

/** Enough for the longest line between two signs that belong together. */
const TAIL_LENGTH = 4096;

/** Follows a machine by what it writes on its serial console. */
export class ConsoleFollower {
  stage: StageName = 'firmware';
  detail: string | undefined;
  progress: Progress | undefined;
  readonly #sizes: Readonly<Record<string, number>>;
  #tail = '';

  /** @param sizes bytes of the files that iPXE shows the progress of, by the end of their path */
  constructor(sizes: Readonly<Record<string, number>>) {
    this.#sizes = sizes;
  }

  /** Takes what came; true when the stage, or its detail, has changed. */
  push(text: string): boolean {
    const tail = this.#tail + text;
    const last = lastSign(tail);
    const before = { stage: this.stage, detail: this.detail };
    if (last) ({ stage: this.stage, detail: this.detail } = last);
    // What lies before the last sign has said all it can.
    this.#tail = tail.slice(Math.max(last?.at ?? 0, tail.length - TAIL_LENGTH));
    this.progress = this.#progressIn(this.#tail);
    return this.stage !== before.stage || this.detail !== before.detail;
  }

  // iPXE overwrites its percentage in place: the last one counts.
  #progressIn(text: string): Progress | undefined {
    const [, file, after] = /^\/?(\S+?)\.\.\.(.*)/s.exec(text) ?? [];
    const totalBytes = file && this.#sizes[file];
    const percent = [...(after?.matchAll(/(\d+)%/g) ?? [])].at(-1)?.[1];
    return file && totalBytes && percent ? { subject: file, totalBytes, doneBytes: Math.round((totalBytes * Number(percent)) / 100) } : undefined;
  }
}

function lastSign(text: string): Sign | undefined {
  let last: Sign | undefined;
  for (const { text: pattern, stage } of SIGNS) {
    for (const match of text.matchAll(pattern)) if (!last || match.index > last.at) last = { stage, at: match.index, detail: match[1] };
  }
  return last;
}
