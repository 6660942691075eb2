import {
  conditionOf,
  type Controller,
  type Logger,
  removeCondition,
  type ResourceClient,
  type ServerBinding,
  ServerBindingKind,
  ServerKind,
  setCondition,
} from '@sidero/core';
import { type ClusterApi, lateKind } from '../cluster-api-version.ts';
import { CLUSTER_NAME_LABEL, type Cluster, MetalMachineKind } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { ClusterMembers } from './cluster-members.ts';
import { COMPONENT, MOVE_LABEL } from './contract.ts';
import { type BindingFacts, type BindingStep, nextBindingStep } from './server-binding-step.ts';
import { writeDifference } from './write-difference.ts';

/** What the loop works with. */
export interface ServerBindingParts {
  readonly resources: ResourceClient;
  readonly clusterApi: ClusterApi;
  readonly log: Logger;
  readonly now: () => Date;
  /** How long a ServerBinding is kept whose MetalMachine is gone. */
  readonly orphanGraceMs: number;
}

/** What is doubtful stays so until a person acts; this is for what was missed. */
const LOOK_AGAIN_MS = 10 * 60_000;

/** The loop over ServerBindings: whether each is ready, and what becomes of those that nobody has. */
export function serverBindings(parts: ServerBindingParts): Controller<ServerBinding> {
  const loop = new ServerBindingLoop(parts);
  return {
    name: 'server-bindings',
    kind: ServerBindingKind,
    also: [
      { kind: ServerKind, refs: ({ metadata }) => (loop.isBound(metadata.name) ? [{ name: metadata.name }] : []) },
      { kind: MetalMachineKind, refs: (machine) => serverRefs(machine as MetalMachine) },
    ],
    late: [{ kind: lateKind(parts.clusterApi, ({ cluster }) => cluster), refs: (cluster) => loop.members.of(cluster).map(({ name }) => ({ name })) }],
    reconcile: ({ name }) => loop.reconcile(name),
  };
}

function serverRefs({ spec }: MetalMachine): { name: string }[] {
  return spec?.serverRef?.name ? [{ name: spec.serverRef.name }] : [];
}

class ServerBindingLoop {
  readonly members = new ClusterMembers();
  readonly #parts: ServerBindingParts;
  /** Those there are: changes of other Servers concern nobody here. */
  readonly #names = new Set<string>();

  constructor(parts: ServerBindingParts) {
    this.#parts = parts;
  }

  isBound(name: string): boolean {
    return this.#names.has(name);
  }

  async reconcile(name: string): Promise<{ requeueAfterMs: number } | undefined> {
    const { resources } = this.#parts;
    const binding = await resources.get(ServerBindingKind, { name });
    this.#note(name, binding);
    if (!binding) return undefined;
    const facts = await this.#gather(binding);
    const step = nextBindingStep(facts);
    if (step.kind === 'free') return this.#free(facts);
    await this.#tell(facts, step);
    if (step.kind === 'keep') return undefined;
    return { requeueAfterMs: step.kind === 'count-down' ? Math.max(1000, step.leftMs) : LOOK_AGAIN_MS };
  }

  #note(name: string, binding: ServerBinding | undefined): void {
    const namespace = binding?.spec?.metalMachineRef?.namespace;
    const cluster = binding?.metadata.labels?.[CLUSTER_NAME_LABEL];
    this.members.note({ name, ...(namespace ? { namespace } : {}) }, cluster);
    if (binding) this.#names.add(name);
    else this.#names.delete(name);
  }

  async #gather(binding: ServerBinding): Promise<BindingFacts> {
    const { resources, clusterApi, now, orphanGraceMs } = this.#parts;
    const { metadata, spec, status } = binding;
    const { namespace = '', name = '' } = spec?.metalMachineRef ?? {};
    const clusterName = metadata.labels?.[CLUSTER_NAME_LABEL];
    const { cluster: kind } = await clusterApi.kinds();
    const [server, metalMachine, cluster] = await Promise.all([
      resources.get(ServerKind, { name: metadata.name }),
      name ? resources.get(MetalMachineKind, { namespace, name }) : undefined,
      clusterName && namespace ? resources.get(kind, { namespace, name: clusterName }) : undefined,
    ]);
    const orphan = conditionOf(status?.conditions, 'MetalMachineExists');
    const orphanSince = orphan?.reason === 'MetalMachineGone' ? new Date(orphan.lastTransitionTime) : undefined;
    return { binding, server, metalMachine, cluster, orphanSince, graceMs: orphanGraceMs, now: now() };
  }

  async #tell({ binding, server, now }: BindingFacts, step: Exclude<BindingStep, { kind: 'free' }>): Promise<void> {
    const { resources } = this.#parts;
    const before = conditionOf(binding.status?.conditions, 'MetalMachineExists');
    await writeDifference(resources, ServerBindingKind, {
      object: binding,
      edit: (draft) => paint(draft, { step, hasServer: server !== undefined, now }),
    });
    if (step.kind === 'keep' || before?.message === step.message) return;
    await resources.record(binding, { type: 'Warning', reason: 'Server Allocation', message: `${step.message}.`, component: COMPONENT });
  }

  // The one thing here that costs a disk: looked at once more, in the API itself.
  async #free({ binding, ...facts }: BindingFacts): Promise<{ requeueAfterMs: number } | undefined> {
    const { resources, clusterApi, log } = this.#parts;
    const { name } = binding.metadata;
    const { namespace = '' } = binding.spec?.metalMachineRef ?? {};
    const [current, machines, cluster] = await Promise.all([
      resources.get(ServerBindingKind, { name }, { live: true }),
      // A list, as it fails when the kind cannot be read, where a single object would only seem to be gone.
      resources.list(MetalMachineKind, { namespace }, { live: true }),
      this.#liveCluster(binding, (await clusterApi.kinds()).cluster),
    ]);
    if (!current || current.metadata.uid !== binding.metadata.uid) return undefined;
    const metalMachine = machines.find(({ metadata }) => metadata.name === current.spec?.metalMachineRef.name);
    if (nextBindingStep({ ...facts, binding: current, metalMachine, cluster }).kind !== 'free') return { requeueAfterMs: 1000 };
    await resources.remove(ServerBindingKind, { name });
    log.warn({ server: name, metalMachine: current.spec?.metalMachineRef.name }, 'a server was freed, as its MetalMachine is gone');
    return undefined;
  }

  async #liveCluster({ metadata, spec }: ServerBinding, kind: Awaited<ReturnType<ClusterApi['kinds']>>['cluster']): Promise<Cluster | undefined> {
    const name = metadata.labels?.[CLUSTER_NAME_LABEL];
    const namespace = spec?.metalMachineRef?.namespace;
    return name && namespace ? this.#parts.resources.get(kind, { namespace, name }, { live: true }) : undefined;
  }
}

interface Seen {
  readonly step: Exclude<BindingStep, { kind: 'free' }>;
  readonly hasServer: boolean;
  readonly now: Date;
}

function paint(draft: ServerBinding, { step, hasServer, now }: Seen): void {
  draft.metadata.labels = { ...draft.metadata.labels, [MOVE_LABEL]: '' };
  const known = removeCondition(draft.status?.conditions, 'ServerExists');
  const missing = { status: 'False', reason: 'ServerMissing', severity: 'Error', message: 'no Server of this name exists' } as const;
  const conditions = hasServer ? known : setCondition(draft.status?.conditions, { type: 'ServerExists', ...missing }, now);
  draft.status = { ...draft.status, ready: hasServer, conditions: withOwner(conditions, step, now) };
}

function withOwner(conditions: ReturnType<typeof setCondition>, step: Seen['step'], now: Date): ReturnType<typeof setCondition> {
  if (step.kind === 'keep') return removeCondition(conditions, 'MetalMachineExists');
  const reason = step.kind === 'doubt' ? step.reason : 'MetalMachineGone';
  return setCondition(conditions, { type: 'MetalMachineExists', status: 'False', reason, severity: 'Warning', message: step.message }, now);
}
