import {
  type Claim,
  conditionOf,
  type Controller,
  hasCode,
  type KubeObject,
  type Lifecycle,
  type Logger,
  matchServerClass,
  type Ref,
  type ResourceClient,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  type ServerClass,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { type ClusterApi, lateKind } from '../cluster-api-version.ts';
import { adviceOf } from '../errors.ts';
import { type Cluster, clusterNameOf, keyOf, type Machine, MetalMachineKind, serverOfProviderId } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { ClusterMembers } from './cluster-members.ts';
import { COMPONENT, MOVE_LABEL, ZONE_LABEL } from './contract.ts';
import { gatherFacts } from './metal-machine-facts.ts';
import { paintBinding, paintBound, paintLetGo, paintPaused, paintPrepared, paintWaiting } from './metal-machine-picture.ts';
import { isBoundBy, type MachineFacts, type MachineStep, namedServer, nextStep, type Waiting } from './metal-machine-step.ts';
import { Reminders } from './reminders.ts';
import { WaitingMachines } from './waiting-machines.ts';
import type { WorkloadClusters } from './workload-clusters.ts';
import { writeDifference } from './write-difference.ts';

/** What the loop works with. */
export interface MetalMachineParts {
  readonly resources: ResourceClient;
  readonly lifecycle: Pick<Lifecycle, 'allocate'>;
  readonly clusterApi: ClusterApi;
  readonly workloads: Pick<WorkloadClusters, 'trouble'>;
  readonly log: Logger;
  readonly now: () => Date;
}

type Again = { readonly requeueAfterMs: number } | undefined;

/** Allocations that run at the same time. */
const CONCURRENCY = 32;
/** What is waited for makes itself known; this is for what was missed. */
const LOOK_AGAIN_MS = 20_000;
/** What the API knows better is heard of before that. */
const STALE_MS = 1000;
/** Steps of one pass: prepared, allocated, kept. */
const MOST_STEPS = 4;
/** What usually ends by itself is an Event when it lasts longer. */
const LONG_WAIT_MS = 10 * 60_000;

/** The loop over MetalMachines: each gets a server and keeps it, or lets it go. */
export function metalMachines(parts: MetalMachineParts): Controller<MetalMachine> {
  const loop = new MetalMachineLoop(parts);
  return {
    name: 'metal-machines',
    kind: MetalMachineKind,
    also: [
      // Also when it is removed: a ServerBinding that is lost is made again.
      { kind: ServerBindingKind, refs: (binding) => ownerRefs(binding as ServerBinding) },
      { kind: ServerKind, refs: (server) => loop.waiting.wake(server as Server) },
    ],
    late: [
      { kind: lateKind(parts.clusterApi, ({ machine }) => machine), refs: machineRefs },
      { kind: lateKind(parts.clusterApi, ({ cluster }) => cluster), refs: (cluster) => loop.members.of(cluster as Cluster) },
    ],
    concurrency: CONCURRENCY,
    reconcile: (ref, signal) => loop.reconcile(ref, signal),
  };
}

function ownerRefs({ spec }: ServerBinding): readonly Ref[] {
  const { namespace, name } = spec?.metalMachineRef ?? {};
  return namespace && name ? [{ namespace, name }] : [];
}

function machineRefs({ metadata, spec }: KubeObject & Pick<Machine, 'spec'>): readonly Ref[] {
  const { kind, name } = spec?.infrastructureRef ?? {};
  return kind === MetalMachineKind.kind && name ? [{ ...(metadata.namespace ? { namespace: metadata.namespace } : {}), name }] : [];
}

class MetalMachineLoop {
  readonly waiting = new WaitingMachines();
  readonly members = new ClusterMembers();
  readonly #reminders = new Reminders();
  readonly #parts: MetalMachineParts;

  constructor(parts: MetalMachineParts) {
    this.#parts = parts;
  }

  async reconcile(ref: Ref, signal: AbortSignal): Promise<Again> {
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      signal.throwIfAborted();
      const facts = await gatherFacts(this.#parts, ref);
      this.members.note(ref, facts && clusterNameOf(facts));
      if (!facts) return this.#forget(ref);
      const step = nextStep(facts);
      if (step.kind !== 'wait') this.waiting.remove(ref);
      if (step.kind === 'keep' || step.kind === 'pause') this.#reminders.forget(ref);
      const ended = await this.#take(facts, step);
      if (ended) return ended.again;
    }
    return { requeueAfterMs: 0 };
  }

  // Undefined: look again at once.
  async #take(facts: MachineFacts, step: MachineStep): Promise<{ again: Again } | undefined> {
    const { metalMachine } = facts;
    const now = this.#parts.now();
    switch (step.kind) {
      case 'pause':
        await this.#paint(metalMachine, (draft) => paintPaused(draft, now));
        return { again: undefined };
      case 'let-go':
        return { again: await this.#letGo(metalMachine, step.bindings) };
      case 'wait':
        return { again: await this.#wait(facts, step.why) };
      case 'prepare':
        await this.#paint(metalMachine, paintPrepared);
        return undefined;
      case 'allocate':
        return this.#allocate(facts, step.claim);
      case 'restore':
        await this.#restore(metalMachine, step.server);
        return undefined;
      case 'keep':
        return { again: await this.#keep(facts, step) };
    }
  }

  async #keep(facts: MachineFacts, { binding, spare }: Extract<MachineStep, { kind: 'keep' }>): Promise<Again> {
    const { resources, workloads, now } = this.#parts;
    const { metalMachine, cluster } = facts;
    const { name } = binding.metadata;
    if (serverOfProviderId(metalMachine) !== name && !(await this.#isBoundNow(name, metalMachine))) return { requeueAfterMs: STALE_MS };
    const at = now();
    const kept = await this.#paintBinding(binding, (draft) => paintBinding(draft, metalMachine, at));
    if (!kept) return { requeueAfterMs: 0 };
    const server = await resources.get(ServerKind, { name });
    if (!server) this.waiting.add(metalMachine.metadata, ({ metadata }) => metadata.name === name);
    const nodeTrouble = cluster && workloads.trouble(cluster.metadata);
    await this.#paint(metalMachine, (draft) => paintBound(draft, { binding: kept, server, nodeTrouble, now: at }));
    for (const other of spare) await this.#release(metalMachine, other);
    return undefined;
  }

  // What a MetalMachine says it has is nobody else's from then on: a ServerBinding that got lost a moment ago may be another's by now.
  async #isBoundNow(name: string, metalMachine: MetalMachine): Promise<boolean> {
    const binding = await this.#parts.resources.get(ServerBindingKind, { name }, { live: true });
    return binding !== undefined && isBoundBy(binding, metalMachine);
  }

  async #wait(facts: MachineFacts, why: Waiting): Promise<Again> {
    const { metalMachine } = facts;
    const name = namedServer(metalMachine);
    if (name) this.waiting.add(metalMachine.metadata, (server) => server.metadata.name === name);
    await this.#tell(metalMachine, why);
    return { requeueAfterMs: LOOK_AGAIN_MS };
  }

  async #allocate({ metalMachine }: MachineFacts, claim: Claim): Promise<{ again: Again } | undefined> {
    const { resources, lifecycle } = this.#parts;
    try {
      // Before it is asked for, so that a server which comes meanwhile is not missed.
      await this.#await(metalMachine, claim);
      const binding = await lifecycle.allocate(claim);
      this.waiting.remove(metalMachine.metadata);
      const server = await resources.get(ServerKind, { name: binding.metadata.name });
      if (server) await resources.record(server, { type: 'Normal', ...eventOf(claim), component: COMPONENT });
      return undefined;
    } catch (thrown) {
      const reason = refusalOf(thrown);
      if (!reason) throw thrown;
      await this.#tell(metalMachine, { reason, severity: 'Warning', message: adviceOf(thrown) });
      return { again: { requeueAfterMs: LOOK_AGAIN_MS } };
    }
  }

  async #await(metalMachine: MetalMachine, { serverClass, server: named, failureDomain }: Claim): Promise<void> {
    const found = serverClass === undefined ? undefined : await this.#parts.resources.get(ServerClassKind, { name: serverClass });
    const isMember = found && memberOf(found);
    this.waiting.add(metalMachine.metadata, (server) => {
      if (named !== undefined) return server.metadata.name === named;
      const { status, metadata } = server;
      if (status?.inUse || !status?.isClean || (failureDomain && metadata.labels?.[ZONE_LABEL] !== failureDomain)) return false;
      return isMember === undefined || isMember(server);
    });
  }

  async #restore(metalMachine: MetalMachine, name: string): Promise<void> {
    const { resources, log, now } = this.#parts;
    const { metadata } = metalMachine;
    const binding = bindingFor(metalMachine, name, await this.#classOf(metalMachine));
    const made = await resources.create(ServerBindingKind, binding).catch((thrown: unknown) => {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) throw thrown;
    });
    if (!made) return;
    // At once: until it is back, a reboot would be from the network.
    await this.#paintBinding(made, (draft) => paintBinding(draft, metalMachine, now()));
    const message = `ServerBinding ${name} was lost, and was made again from MetalMachine ${keyOf(metadata)}.`;
    await resources.record(metalMachine, { type: 'Warning', reason: 'Server Allocation', message, component: COMPONENT });
    log.warn({ server: name, metalMachine: keyOf(metadata) }, 'a lost ServerBinding was made again');
  }

  async #classOf({ spec }: MetalMachine): Promise<ServerClass | undefined> {
    const name = spec?.serverClassRef?.name;
    return name ? this.#parts.resources.get(ServerClassKind, { name }) : undefined;
  }

  async #letGo(metalMachine: MetalMachine, bindings: readonly ServerBinding[]): Promise<Again> {
    for (const binding of bindings) await this.#release(metalMachine, binding);
    await this.#paint(metalMachine, paintLetGo);
    return undefined;
  }

  // What is freed is wiped: that it is still ours is asked of the API itself.
  async #release(metalMachine: MetalMachine, { metadata: { name } }: ServerBinding): Promise<void> {
    const { resources, log } = this.#parts;
    if (!(await this.#isBoundNow(name, metalMachine))) return;
    await resources.remove(ServerBindingKind, { name });
    log.info({ server: name, metalMachine: keyOf(metalMachine.metadata) }, 'server released');
  }

  async #tell(metalMachine: MetalMachine, why: Waiting): Promise<void> {
    const { resources } = this.#parts;
    const now = this.#parts.now();
    const isKnown = conditionOf(metalMachine.status?.conditions, 'Ready')?.reason === why.reason;
    await this.#paint(metalMachine, (draft) => paintWaiting(draft, why, now));
    // The counts in a message move with the fleet: it is the reason that is told.
    const afterMs = why.severity === 'Info' || isKnown ? LONG_WAIT_MS : 0;
    if (!this.#reminders.isDue(metalMachine.metadata, why.reason, { now, afterMs })) return;
    const type = why.severity === 'Info' ? 'Normal' : 'Warning';
    await resources.record(metalMachine, { type, reason: 'Server Allocation', message: why.message, component: COMPONENT });
  }

  async #paint(metalMachine: MetalMachine, edit: (draft: MetalMachine) => void): Promise<void> {
    await writeDifference(this.#parts.resources, MetalMachineKind, { object: metalMachine, edit });
  }

  // Undefined when it is gone.
  async #paintBinding(binding: ServerBinding, edit: (draft: ServerBinding) => void): Promise<ServerBinding | undefined> {
    return writeDifference(this.#parts.resources, ServerBindingKind, { object: binding, edit });
  }

  #forget(ref: Ref): undefined {
    this.waiting.remove(ref);
    this.#reminders.forget(ref);
  }
}

// What only a person or another server can change; everything else is tried again with a back-off.
function refusalOf(thrown: unknown): string | undefined {
  if (hasCode(thrown, 'SIDERO_ALLOCATE_NONE')) return 'NoServerFits';
  return hasCode(thrown, 'SIDERO_SERVER_CLASS_INVALID') ? 'ServerClassInvalid' : undefined;
}

// A class that cannot be read matches no server; allocation says what is wrong with it.
function memberOf(serverClass: ServerClass): (server: Server) => boolean {
  try {
    return matchServerClass(serverClass);
  } catch {
    return () => false;
  }
}

function eventOf({ server, serverClass, name }: Claim): { reason: string; message: string } {
  if (server !== undefined) return { reason: 'Server Assignment', message: `Server is assigned via serverRef for metal machine "${name}".` };
  return { reason: 'Server Allocation', message: `Server is allocated via serverclass "${serverClass}" for metal machine "${name}".` };
}

/** The ServerBinding as allocation had made it. A class that is gone is still named: what it gave cannot be guessed. */
function bindingFor({ metadata, spec }: MetalMachine, name: string, serverClass: ServerClass | undefined): ServerBinding {
  const { apiVersion, kind } = ServerClassKind;
  const className = spec?.serverClassRef?.name;
  const { uid, resourceVersion } = serverClass?.metadata ?? {};
  const seen = { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) };
  return {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'ServerBinding',
    metadata: { name, labels: { ...metadata.labels, [MOVE_LABEL]: '' } },
    spec: {
      metalMachineRef: {
        kind: 'MetalMachine',
        name: metadata.name,
        ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
        ...(metadata.uid ? { uid: metadata.uid } : {}),
      },
      ...(className ? { serverClassRef: { apiVersion, kind, name: className, ...seen } } : {}),
    },
  };
}
