import type { ObservableMachine } from '../machine/state.ts';

/** What one demo runs: a management plane of its own, and machines that find nothing but it. */
export interface DemoWorld extends AsyncDisposable {
  readonly title: string;
  readonly machines: readonly ObservableMachine[];
  /** Names of the Servers that the API calls accepted, asked afresh. */
  accepted(): Promise<ReadonlySet<string>>;
  /** Calls `onAccepted` with the name of every Server that is or becomes accepted, perhaps several times, until the signal aborts. */
  watchAccepted(onAccepted: (name: string) => void, signal: AbortSignal): Promise<void>;
  readonly kubeconfig: string;
  /** What to look into when something is wrong. */
  readonly logs: string;
  /** Switches all machines on; what becomes of each shows in its state. */
  powerOn(signal: AbortSignal): void;
  /** Rejects when the management plane dies. */
  readonly done: Promise<void>;
}
