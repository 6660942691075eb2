/** A stretch of a machine's way from nothing to a node that runs; `label` and `waitsFor` are what a display shows. */
export interface Stage {
  readonly name: string;
  readonly label: string;
  /** What the machine needs from somebody else to go on. */
  readonly waitsFor: string;
}

/**
 * The stages in the order a machine goes through them; a clean one is switched off, and back at the first, until it is allocated. Simulated machines have no
 * `firmware` and no `linux`: they need no time for either.
 */
export const STAGES = [
  { name: 'off', label: 'off', waitsFor: 'power' },
  { name: 'firmware', label: 'firmware', waitsFor: '' },
  { name: 'dhcp', label: 'DHCP', waitsFor: 'an address and a boot file name' },
  { name: 'tftp', label: 'TFTP', waitsFor: 'the boot file' },
  { name: 'ipxe', label: 'iPXE', waitsFor: 'the boot script' },
  { name: 'kernel', label: 'kernel', waitsFor: 'the kernel' },
  { name: 'initrd', label: 'initrd', waitsFor: 'the initial RAM disk' },
  { name: 'linux', label: 'Linux', waitsFor: '' },
  { name: 'agent', label: 'registering', waitsFor: 'the agent API' },
  { name: 'registered', label: 'registered', waitsFor: 'acceptance' },
  { name: 'accepted', label: 'accepted', waitsFor: 'the order to wipe' },
  { name: 'wiping', label: 'wiping', waitsFor: '' },
  { name: 'clean', label: 'clean', waitsFor: 'the power to go off' },
  { name: 'configuring', label: 'Talos', waitsFor: 'its configuration' },
  { name: 'installing', label: 'installing', waitsFor: '' },
  { name: 'running', label: 'running', waitsFor: '' },
] as const satisfies readonly Stage[];

/** Where a machine can be besides: it boots something that is not ours to follow, or it gave up. */
export const ELSEWHERE = [
  { name: 'disk', label: 'boots from disk', waitsFor: '' },
  { name: 'environment', label: 'boots an environment', waitsFor: '' },
  { name: 'failed', label: 'failed', waitsFor: '' },
] as const satisfies readonly Stage[];

export type StageName = (typeof STAGES)[number]['name'] | (typeof ELSEWHERE)[number]['name'];

/** How far something is that takes its time: a file on its way to the machine, or the disks on their way to being empty. */
export interface Progress {
  /** The file, or "6 disks". */
  readonly subject: string;
  readonly doneBytes: number;
  readonly totalBytes: number | undefined;
}

/** Where a machine is. Times are milliseconds since 1970. */
export interface MachineState {
  readonly stage: StageName;
  readonly sinceMs: number;
  /** When the machine stops waiting and tries again or gives up. */
  readonly untilMs?: number;
  /** What the stage is about: a file, an address, or why it failed. */
  readonly detail?: string;
}

/** A stage by its name. */
export function stageOf(name: StageName): Stage {
  return [...STAGES, ...ELSEWHERE].find((stage) => stage.name === name)!;
}

/** What can be seen of a machine from outside. */
export interface ObservableMachine {
  readonly name: string;
  readonly uuid: string;
  readonly mac: string;
  readonly state: MachineState;
  /** Every state so far, the present one last. */
  readonly history: readonly MachineState[];
  readonly progress: Progress | undefined;
  /** Calls `listener` at every change of `state`, until the returned function is called. */
  onState(listener: (state: MachineState) => void): () => void;
}

/** Where a machine's states go. */
export interface States {
  readonly state: MachineState;
  progress: Progress | undefined;
  enter(stage: StageName, more?: { readonly waitMs?: number; readonly detail?: string }): void;
}

/** A machine's states as they come; machines hold one and show it. */
export class StateLog implements States {
  readonly history: MachineState[];
  progress: Progress | undefined;
  readonly #listeners = new Set<(state: MachineState) => void>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.history = [{ stage: 'off', sinceMs: now() }];
  }

  get state(): MachineState {
    return this.history.at(-1)!;
  }

  enter(stage: StageName, more: { readonly waitMs?: number; readonly detail?: string } = {}): void {
    const sinceMs = this.#now();
    this.progress = undefined;
    this.history.push({
      stage,
      sinceMs,
      ...(more.waitMs !== undefined && { untilMs: sinceMs + more.waitMs }),
      ...(more.detail !== undefined && { detail: more.detail }),
    });
    for (const listener of this.#listeners) listener(this.state);
  }

  listen(listener: (state: MachineState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** The same log for what runs on the machine: without power it enters no state any more, which ends it with the signal's reason. */
export function whilePowered(log: StateLog, signal: AbortSignal): States {
  return {
    get state() {
      return log.state;
    },
    get progress() {
      return log.progress;
    },
    set progress(progress) {
      if (!signal.aborted) log.progress = progress;
    },
    enter(stage, more) {
      signal.throwIfAborted();
      log.enter(stage, more);
    },
  };
}
