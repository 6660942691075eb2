import type { ResourceClient } from '@sidero/core';
import type { ObservableMachine } from '../machine/state.ts';

/** What one demo runs: a management plane of its own, and machines that find nothing but it. */
export interface DemoWorld extends AsyncDisposable {
  readonly title: string;
  readonly machines: readonly ObservableMachine[];
  /** The API that says who is accepted. */
  readonly resources: Pick<ResourceClient, 'list' | 'watch'>;
  readonly kubeconfig: string;
  readonly logFile: string;
  /** Switches all machines on; what becomes of each shows in its state. */
  powerOn(signal: AbortSignal): void;
  /** Rejects when the management plane dies. */
  readonly done: Promise<void>;
}
