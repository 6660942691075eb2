import type { LifecycleHooks, ServerEvent } from '../hooks.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { ResourceClient } from '../resources/client.ts';
import type { Environment } from '../resources/kinds.ts';
import type { Site } from '../sidero.ts';
import type { TokenMint } from './boot-auth.ts';
import type { LocalCopy } from './boot-choice.ts';

/** What every stage works with. */
export interface StageContext {
  readonly hooks: LifecycleHooks;
  readonly resources: ResourceClient;
  readonly site: Site;
  /** Whether the files of an Environment are whole on this replica. */
  readonly localCopy: (environment: Environment) => LocalCopy | Promise<LocalCopy>;
  /** Whether the agent's files are on this replica. */
  readonly agentCopy: (environment: string) => Promise<LocalCopy>;
  /** The key lies in the API, so it is there only once the cluster is connected. */
  readonly mint: () => Promise<TokenMint>;
  /** Who we are on this cluster; see `fenceOf`. */
  readonly installation: () => Promise<string>;
  readonly stream: (event: ServerEvent) => void;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now: () => Date;
}
