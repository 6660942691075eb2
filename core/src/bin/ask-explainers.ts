import type { KubeConfig } from '@kubernetes/client-node';
import { messageOf } from '../errors.ts';
import type { WhyQuestion } from '../registries.ts';
import { lookAtConfig } from './look-at-config.ts';

/** What one plugin knows of a server. */
export interface Explanation {
  readonly name: string;
  readonly lines: readonly string[];
}

/** How the plugins are found, and the API that they read. */
export interface ExplainersGiven {
  /** File of the config; undefined: the nearest. */
  readonly config: string | undefined;
  readonly kubeConfig: KubeConfig;
  /** Undefined: that of the config. */
  readonly dataDir: string | undefined;
}

/** Asks the plugins of the config about a server. Who cannot be asked is told of: the rest of the answer stands. */
export async function askExplainers(question: Omit<WhyQuestion, 'dataDir'>, given: ExplainersGiven): Promise<readonly Explanation[]> {
  try {
    const { kernel, resources, cluster } = await lookAtConfig(given.config);
    await using _closed = { [Symbol.asyncDispose]: () => resources.close() };
    cluster.resolve(given.kubeConfig);
    const asked: WhyQuestion = { ...question, dataDir: given.dataDir ?? kernel.site.dataDir };
    const explainers = kernel.tables.explainers.for('core').list();
    const told = explainers.map(async (one) => ({ name: one.name, lines: await one.explain(asked).catch(failed) }));
    return (await Promise.all(told)).filter(({ lines }) => lines.length > 0);
  } catch (thrown) {
    return [{ name: 'plugins', lines: failed(thrown) }];
  }
}

const failed = (thrown: unknown): readonly string[] => [`not asked: ${messageOf(thrown)}`];
