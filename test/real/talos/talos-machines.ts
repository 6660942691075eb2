import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { talosProgram } from './program.ts';

/** A machine that boots Talos; what it is told with its kernel. */
export interface TalosBoot {
  readonly uuid: string;
  readonly kernelArgs: readonly string[];
  /** File that is its disk. Talos goes on with what is installed there, however it was started. */
  readonly disk: string;
  /** Where its Machine API listens, on port 50000. */
  readonly address: string;
  /** First pause after a configuration was not to be had. Default 1000, as Talos has it. */
  readonly retryMs?: number;
}

/** How Kubernetes sees a machine that runs. */
export interface TalosNode {
  readonly name: string;
  readonly type: 'controlplane' | 'worker';
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  readonly cluster: string;
  readonly endpoint: string;
}

/** What became of a machine. */
export interface TalosEvent {
  readonly uuid: string;
  readonly event: 'waiting' | 'retry' | 'config' | 'refused' | 'installed' | 'reboot' | 'running' | 'bootstrapped' | 'left' | 'reset' | 'off';
  readonly detail?: string;
  /** With `running`. */
  readonly node?: TalosNode;
}

/** Machines that run the stand-in for Talos, all in one process of their own. */
export interface TalosMachines extends AsyncDisposable {
  /** Every event so far. */
  readonly events: readonly TalosEvent[];
  boot(boot: TalosBoot): void;
  /** Cuts the power of a machine. */
  off(uuid: string): void;
}

export function startTalosMachines(onEvent: (event: TalosEvent) => void = () => {}): TalosMachines {
  const child: ChildProcess = spawn(talosProgram(), ['machines'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const events: TalosEvent[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const event = JSON.parse(line) as TalosEvent;
    events.push(event);
    onEvent(event);
  });
  child.stdin!.on('error', () => {});
  const order = (what: object) => void child.stdin!.write(`${JSON.stringify(what)}\n`);
  return {
    events,
    boot: ({ kernelArgs, ...boot }) => order({ op: 'boot', cmdline: kernelArgs.join(' '), ...boot }),
    off: (uuid) => order({ op: 'off', uuid }),
    [Symbol.asyncDispose]: async () => {
      child.stdin!.end();
      await ended;
    },
  };
}
