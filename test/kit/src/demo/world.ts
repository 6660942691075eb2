import type { ObservableMachine } from '../machine/state.ts';
import type { Standing } from './standing.ts';

/** What one demo runs: a management plane of its own, and machines that find nothing but it. */
export interface DemoWorld extends AsyncDisposable {
  readonly title: string;
  readonly machines: readonly ObservableMachine[];
  /** What the API says of each Server, by its name, asked afresh. */
  standings(): Promise<ReadonlyMap<string, Standing>>;
  /** Tells what the API says of every Server, and again when it changes, perhaps several times, until the signal aborts. */
  watchStandings(onStanding: (name: string, standing: Standing) => void, signal: AbortSignal): Promise<void>;
  readonly kubeconfig: string;
  /** What to look into when something is wrong. */
  readonly logs: string;
  /** Switches all machines on; what becomes of each shows in its state. */
  powerOn(signal: AbortSignal): void;
  /** Rejects when the management plane dies. */
  readonly done: Promise<void>;
}
