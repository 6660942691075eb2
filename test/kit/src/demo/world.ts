import type { ObservableMachine } from '../machine/state.ts';
import type { Goal, Standing } from './standing.ts';

/** A record of a machine's kernel log. */
export interface LogLine {
  /** Of the machine. */
  readonly uuid: string;
  readonly text: string;
}

/** What one demo runs: a management plane of its own, and machines that find nothing but it. */
export interface DemoWorld extends AsyncDisposable {
  /** One line or more. */
  readonly title: string;
  readonly machines: readonly ObservableMachine[];
  /** How far it takes them. */
  readonly goal: Goal;
  /** What the API says of each Server, by its name, asked afresh. */
  standings(): Promise<ReadonlyMap<string, Standing>>;
  /** Tells what the API says of every Server, and again when it changes, perhaps several times, until the signal aborts. */
  watchStandings(onStanding: (name: string, standing: Standing) => void, signal: AbortSignal): Promise<void>;
  /** Tells every record of the machines' kernel logs, as it comes. */
  onLog(listener: (line: LogLine) => void): void;
  readonly kubeconfig: string;
  /** What to look into when something is wrong. */
  readonly logs: string;
  /** Switches all machines on; what becomes of each shows in its state. */
  powerOn(signal: AbortSignal): void;
  /** Rejects when the management plane dies. */
  readonly done: Promise<void>;
}
