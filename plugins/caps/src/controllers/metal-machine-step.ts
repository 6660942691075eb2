import { TOKEN_ANNOTATION } from '../configdata/config-claim.ts';
import type { Claim, Server, ServerBinding, Severity } from '@sidero/core';
import { type Cluster, clusterNameOf, type Machine, ownerMachineOf, serverOfProviderId } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { BLOCK_MOVE_ANNOTATION, hasInfrastructure, isPaused, METAL_MACHINE_FINALIZER, MOVE_LABEL, ZONE_LABEL } from './contract.ts';

/** All that a step of a MetalMachine is decided from, looked at in one moment. */
export interface MachineFacts {
  readonly metalMachine: MetalMachine;
  /** The Machine that owns it. */
  readonly machine: Machine | undefined;
  readonly cluster: Cluster | undefined;
  /** Every ServerBinding that names it. */
  readonly bindings: readonly ServerBinding[];
  /** The Server that it has, had, or asks for by name; see `namedServer`. */
  readonly server: Server | undefined;
  /** The ServerBinding of that Server, whomever it belongs to. */
  readonly holder: ServerBinding | undefined;
}

/** Why a MetalMachine does not get on, and what for it waits. */
export interface Waiting {
  /** One CamelCase word. */
  readonly reason: string;
  readonly severity: Severity;
  readonly message: string;
}

/** The one thing that is done now. */
export type MachineStep =
  | { readonly kind: 'pause' }
  /** It is being deleted: these ServerBindings go, then its finalizer. */
  | { readonly kind: 'let-go'; readonly bindings: readonly ServerBinding[] }
  | { readonly kind: 'wait'; readonly why: Waiting }
  /** Its finalizer is written before anything is bound, and a move is blocked while a server is chosen. */
  | { readonly kind: 'prepare' }
  | { readonly kind: 'allocate'; readonly claim: Claim }
  /** The ServerBinding of a server that it has got before is lost: it is made again. */
  | { readonly kind: 'restore'; readonly server: string }
  /** It has a server. `spare`: further ServerBindings that name it, and that no machine was booted for. */
  | { readonly kind: 'keep'; readonly binding: ServerBinding; readonly spare: readonly ServerBinding[] };

/** The Server that a MetalMachine has, had, or asks for by name. */
export function namedServer(metalMachine: MetalMachine): string | undefined {
  return metalMachine.spec?.serverRef?.name || serverOfProviderId(metalMachine);
}

/**
 * Whether a ServerBinding was made for this MetalMachine. By uid; a move gives it another one, but keeps its provider id. One of the same name
 * that was made anew has none yet, so that it does not inherit a server from its predecessor.
 */
export function isBoundBy({ metadata, spec }: ServerBinding, metalMachine: MetalMachine): boolean {
  const { namespace, name, uid } = spec?.metalMachineRef ?? {};
  if (namespace !== metalMachine.metadata.namespace || name !== metalMachine.metadata.name) return false;
  return !uid || uid === metalMachine.metadata.uid || serverOfProviderId(metalMachine) === metadata.name;
}

/** What to do for a MetalMachine now. Pure. */
export function nextStep(facts: MachineFacts): MachineStep {
  const { metalMachine, cluster } = facts;
  const bindings = facts.bindings.filter((binding) => isBoundBy(binding, metalMachine));
  if (isPaused(metalMachine, cluster)) return unrecorded(metalMachine, bindings) ?? { kind: 'pause' };
  // Before everything that may be missing by then: a deletion always ends.
  if (metalMachine.metadata.deletionTimestamp) return { kind: 'let-go', bindings };
  const step = keep(metalMachine, bindings) ?? orphaned(facts) ?? restore(facts) ?? choose(facts);
  return step.kind === 'allocate' || step.kind === 'restore' ? (unprepared(metalMachine) ?? step) : step;
}

// A server was bound to it just before the pause. Until that stands in the MetalMachine, a lost ServerBinding would have the server wiped, and a
// move would forget it: this is what a move is blocked for.
function unrecorded(metalMachine: MetalMachine, bindings: readonly ServerBinding[]): MachineStep | undefined {
  const isGoing = metalMachine.metadata.deletionTimestamp !== undefined;
  return isGoing || serverOfProviderId(metalMachine) ? undefined : keep(metalMachine, bindings);
}

// What it has goes before what its serverRef says: that one may have been edited.
function keep(metalMachine: MetalMachine, bindings: readonly ServerBinding[]): MachineStep | undefined {
  const names = [serverOfProviderId(metalMachine), metalMachine.spec?.serverRef?.name];
  const [binding, ...others] = bindings.toSorted((a, b) => rank(a, names) - rank(b, names) || (a.metadata.name < b.metadata.name ? -1 : 1));
  if (!binding) return undefined;
  const isPrepared = metalMachine.metadata.finalizers?.includes(METAL_MACHINE_FINALIZER);
  if (!isPrepared) return { kind: 'prepare' };
  return { kind: 'keep', binding, spare: others.filter(({ status }) => !status?.conditions?.length) };
}

function rank({ metadata }: ServerBinding, names: readonly (string | undefined)[]): number {
  const place = names.indexOf(metadata.name);
  return place < 0 ? names.length : place;
}

function orphaned({ metalMachine, machine, cluster }: MachineFacts): MachineStep | undefined {
  const owner = ownerMachineOf(metalMachine);
  if (!owner)
    return wait('WaitingForMachine', 'Info', 'no Machine owns it; Cluster API makes that link once a Machine names it in spec.infrastructureRef');
  if (!machine)
    return wait('MachineMissing', 'Warning', `its Machine ${owner} does not exist; delete this MetalMachine if that one is gone for good`);
  if (cluster) return undefined;
  const name = clusterNameOf({ metalMachine, machine });
  const missing = name
    ? `its Cluster ${name} does not exist; make it, or delete Machine ${owner}`
    : `Machine ${owner} names no Cluster; set its spec.clusterName`;
  return wait('ClusterMissing', 'Warning', missing);
}

function restore({ metalMachine, server, holder }: MachineFacts): MachineStep | undefined {
  const before = serverOfProviderId(metalMachine);
  if (!before) return undefined;
  const wanted = metalMachine.spec?.serverRef?.name;
  if (wanted && wanted !== before)
    return wait('ServerChanged', 'Error', `spec.serverRef names ${wanted}, but it has been given ${before}; name that one, or delete its Machine`);
  if (!server) return wait('ServerMissing', 'Error', `its Server ${before} does not exist; delete its Machine to get another one`);
  if (holder) return taken(holder, 'delete its Machine to get another one');
  return { kind: 'restore', server: before };
}

function unprepared({ metadata }: MetalMachine): MachineStep | undefined {
  const isPrepared = metadata.finalizers?.includes(METAL_MACHINE_FINALIZER) && metadata.annotations?.[BLOCK_MOVE_ANNOTATION] !== undefined;
  return isPrepared ? undefined : { kind: 'prepare' };
}

function choose({ metalMachine, machine, cluster, server, holder }: MachineFacts): MachineStep {
  const [clusterName, machineName] = [cluster!.metadata.name, machine!.metadata.name];
  if (!hasInfrastructure(cluster!)) {
    const message = `its Cluster ${clusterName} has no infrastructure yet; kubectl describe the Cluster and its MetalCluster to see why`;
    return wait('WaitingForClusterInfrastructure', 'Info', message);
  }
  if (!machine!.spec?.bootstrap?.dataSecretName) {
    const message = `its Machine ${machineName} has no bootstrap data yet; the bootstrap provider makes it, for workers once the control plane is there`;
    return wait('WaitingForBootstrapData', 'Info', message);
  }
  const { serverRef, serverClassRef } = metalMachine.spec ?? {};
  const claim: Claim = { ...claimOf(metalMachine, machine!), ...(serverClassRef?.name ? { serverClass: serverClassRef.name } : {}) };
  if (serverRef?.name) return refused(serverRef.name, { server, holder, claim }) ?? { kind: 'allocate', claim: { ...claim, server: serverRef.name } };
  if (claim.serverClass !== undefined) return { kind: 'allocate', claim };
  return wait('NoServerNamed', 'Error', 'it names neither a Server nor a ServerClass: set spec.serverClassRef or spec.serverRef');
}

/** What it asks for, but for the server or class that its spec names. */
export function claimOf({ metadata }: MetalMachine, machine: Machine | undefined): Claim {
  const failureDomain = machine?.spec?.failureDomain;
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    labels: { ...metadata.labels, [MOVE_LABEL]: '' },
    // Its machine has yet to boot from the network, and is given a token then.
    annotations: { [TOKEN_ANNOTATION]: 'given' },
    ...(failureDomain ? { failureDomain } : {}),
  };
}

// A server that a person names is no less checked than one of a class.
function refused(name: string, given: { server: Server | undefined; holder: ServerBinding | undefined; claim: Claim }): MachineStep | undefined {
  const { server, holder, claim } = given;
  const another = 'name another one in spec.serverRef';
  if (!server)
    return wait('ServerMissing', 'Error', `Server ${name}, which spec.serverRef names, does not exist; network-boot that machine, or ${another}`);
  if (holder) return taken(holder, another);
  if (server.metadata.deletionTimestamp) return wait('ServerGoing', 'Error', `Server ${name} is being deleted; ${another}`);
  if (!server.spec?.accepted) return wait('ServerNotAccepted', 'Warning', `Server ${name} is not accepted; set its spec.accepted to true`);
  if (server.spec.cordoned) return wait('ServerCordoned', 'Warning', `Server ${name} is cordoned; set its spec.cordoned to false, or ${another}`);
  const zone = server.metadata.labels?.[ZONE_LABEL];
  if (claim.failureDomain && zone !== claim.failureDomain)
    return wait(
      'ServerElsewhere',
      'Error',
      `Server ${name} is in failure domain "${zone ?? ''}", and its Machine demands ${claim.failureDomain}; correct its label ${ZONE_LABEL}, or ${another}`,
    );
  if (server.status?.inUse || !server.status?.isClean)
    return wait('WaitingForCleanServer', 'Info', `Server ${name} is to be wiped first; sidero why ${name} tells how far that is`);
  return undefined;
}

function taken({ metadata, spec }: ServerBinding, next: string): MachineStep {
  const { namespace, name } = spec?.metalMachineRef ?? {};
  return wait('ServerTaken', 'Error', `Server ${metadata.name} is allocated to MetalMachine ${namespace}/${name}; ${next}`);
}

function wait(reason: string, severity: Severity, message: string): MachineStep {
  return { kind: 'wait', why: { reason, severity, message } };
}
