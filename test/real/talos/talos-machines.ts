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
  /** What tells it from other machines of its UUID, kept in META as if by whoever manages it. Default that of its configuration, if any. */
  readonly uniqueToken?: string;
  /** Joins SideroLink as clients did that knew one endpoint, and no fields but the first three. */
  readonly oldClient?: boolean;
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

/** What a machine counts of its SideroLink since it booted. Times are in ms, `…At` since 1970. */
export interface LinkReport {
  readonly address?: string;
  readonly endpoint?: string;
  readonly publicKey: string;
  readonly provisions: number;
  readonly provisionMs: number;
  /** From the first answer of Provision to the first handshake. */
  readonly handshakeMs: number;
  /** The last one; 0 before the first. */
  readonly handshakeAt: number;
  readonly events: number;
  readonly acknowledged: number;
  readonly lastAcknowledged?: string;
  readonly acknowledgedAt: number;
  readonly lines: number;
  /** Lines that were cut when a connection broke. */
  readonly linesBroken: number;
  readonly logConnections: number;
}

/**
 * What becomes of a machine's SideroLink: Provision was answered; the first handshake; Provision failed, or the tunnel; an event was acknowledged,
 * or not; an event that was ordered has happened; ordered lines are sent (`detail`: in how many ms); what was asked for.
 */
export type LinkEventName = 'provisioned' | 'linked' | 'unlinked' | 'acknowledged' | 'unsent' | 'emitted' | 'logged' | 'report';

/** What became of a machine. */
export interface TalosEvent {
  readonly uuid: string;
  readonly event:
    | 'waiting'
    | 'retry'
    | 'config'
    | 'refused'
    | 'installed'
    | 'reboot'
    | 'running'
    | 'bootstrapped'
    | 'left'
    | 'reset'
    | 'off'
    | LinkEventName;
  /** With `acknowledged` and `emitted`: the id of an event. */
  readonly detail?: string;
  /** With `running`. */
  readonly node?: TalosNode;
  /** With `provisioned`, `linked`, `logged`, `report`. */
  readonly link?: LinkReport;
  /** With `acknowledged`: "PhaseEvent", and how long ago it happened. */
  readonly sent?: { readonly message: string; readonly ms: number };
}

/** Machines that run the stand-in for Talos, all in one process of their own. */
export interface TalosMachines extends AsyncDisposable {
  /** Every event so far. */
  readonly events: readonly TalosEvent[];
  boot(boot: TalosBoot): void;
  /** Cuts the power of a machine. */
  off(uuid: string): void;
  /** Adds lines to the kernel log of a machine, or of all; tells `logged` once they are sent. */
  log(lines: { readonly uuid?: string; readonly count: number; readonly perSecond?: number }): void;
  /** Makes an event of Talos': its message in package `machine`, and the fields of that as JSON; tells `emitted`, later `acknowledged`. */
  emit(event: { readonly uuid?: string; readonly message: string; readonly fields: object }): void;
  /** Has a machine, or all, tell `report`. */
  report(uuid?: string): void;
  readonly pid: number;
}

/** Where they run. */
export interface TalosPlace {
  /** The command line that runs a command there: in a network namespace. */
  inside(command: readonly [string, ...string[]]): readonly [string, ...string[]];
}

const HERE: TalosPlace = { inside: (command) => command };

export function startTalosMachines(onEvent: (event: TalosEvent) => void = () => {}, place = HERE): TalosMachines {
  const [program, ...args] = place.inside([talosProgram(), 'machines']);
  const child: ChildProcess = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
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
    log: (lines) => order({ op: 'log', ...lines }),
    emit: ({ fields, ...event }) => order({ op: 'emit', ...event, fields: JSON.stringify(fields) }),
    report: (uuid) => order({ op: 'report', uuid }),
    pid: child.pid!,
    [Symbol.asyncDispose]: async () => {
      child.stdin!.end();
      await ended;
    },
  };
}
