import { conditionOf, isTrue, markTrue, type Server, type ServerBinding, sortConditions } from '@sidero/core';
import { providerIdOf } from '../kinds.ts';
import { TROUBLE_CONDITIONS, withoutTrouble } from '../machine-trouble.ts';
import type { MachineAddress, MetalMachine } from '../types.gen.ts';
import { BLOCK_MOVE_ANNOTATION, METAL_MACHINE_FINALIZER, ZONE_LABEL } from './contract.ts';
import type { Waiting } from './metal-machine-step.ts';
import { holds, type Observation, observe } from './observations.ts';

/**
 * Annotation of a MetalMachine: the Server on whose disk its Talos is installed. Conditions do not survive a move to another cluster, nor the loss
 * of a ServerBinding; without this the node would be booted from the network again.
 */
export const INSTALLED_ANNOTATION = 'metal.sidero.dev/talos-installed';
/** Conditions that come from Talos, by way of the ServerBinding. */
export const TALOS_CONDITIONS = ['TalosConfigLoaded', 'TalosConfigValidated', 'TalosInstalled'] as const;
/** Conditions of ServerBindings that are about the binding itself. */
export const OWN_BINDING_CONDITIONS: readonly string[] = ['MetalMachineExists', 'ServerExists'];

/** A MetalMachine that is about to get a server. */
export function paintPrepared({ metadata }: MetalMachine): void {
  const others = (metadata.finalizers ?? []).filter((finalizer) => finalizer !== METAL_MACHINE_FINALIZER);
  metadata.finalizers = [...others, METAL_MACHINE_FINALIZER];
  metadata.annotations = { ...metadata.annotations, [BLOCK_MOVE_ANNOTATION]: 'a server is being chosen' };
}

/** A MetalMachine that waits. What its machine could not be given is told while it has one. */
export function paintWaiting(draft: MetalMachine, { reason, severity, message }: Waiting, now: Date): void {
  if (draft.status) draft.status.conditions = withoutTrouble(draft.status.conditions);
  paint(draft, [{ type: 'Ready', status: 'False', reason, severity, message }], { now, isPaused: false });
}

/** A MetalMachine that nobody may touch. From here on it may be moved. */
export function paintPaused(draft: MetalMachine, now: Date): void {
  unblockMove(draft);
  paint(draft, [], { now, isPaused: true });
}

/** That a Node has no provider id, and why. */
export function providerUpdateFailed(message: string): Observation {
  return { type: 'ProviderSet', status: 'False', reason: 'ProviderUpdateFailed', severity: 'Warning', message };
}

/** What a MetalMachine with a server is told of. */
export interface Bound {
  readonly binding: ServerBinding;
  /** Undefined when its Server does not exist. */
  readonly server: Server | undefined;
  /** Why the API of its cluster cannot be used, as far as that is known: told with the rest, while nothing is known of its Node. */
  readonly nodeTrouble?: string | undefined;
  readonly now: Date;
}

/** A MetalMachine with a server. */
export function paintBound(draft: MetalMachine, { binding, server, nodeTrouble, now }: Bound): void {
  const { name } = binding.metadata;
  unblockMove(draft);
  draft.spec = { ...draft.spec, providerID: providerIdOf(name) };
  if (draft.spec.serverRef?.name !== name) draft.spec.serverRef = { kind: 'Server', name };
  paintInstalled(draft, binding);
  const missing = `its Server ${name} does not exist; network-boot that machine to have it registered, or delete its Machine to get another one`;
  const ready: Observation = server
    ? readinessOf(binding)
    : { type: 'Ready', status: 'False', reason: 'ServerMissing', severity: 'Error', message: missing };
  // What Cluster API was told once is not taken back; the condition tells what is wrong now.
  const isReady = server !== undefined || draft.status?.ready === true;
  const zone = server?.metadata.labels?.[ZONE_LABEL];
  const addresses = addressesOf(binding);
  draft.status = {
    ...draft.status,
    ...(isReady ? { ready: true, initialization: { provisioned: true } } : {}),
    ...(addresses.length > 0 || draft.status?.addresses ? { addresses } : {}),
    ...(zone ? { failureDomain: zone } : {}),
  };
  copyConditions(draft, binding);
  const isNodeNew = nodeTrouble !== undefined && conditionOf(draft.status.conditions, 'ProviderSet') === undefined;
  paint(draft, isNodeNew ? [ready, providerUpdateFailed(nodeTrouble)] : [ready], { now, isPaused: false });
}

/** A MetalMachine that has let its server go. */
export function paintLetGo({ metadata }: MetalMachine): void {
  metadata.finalizers = (metadata.finalizers ?? []).filter((finalizer) => finalizer !== METAL_MACHINE_FINALIZER);
}

/** A ServerBinding gets back what it lost, as its MetalMachine knows it: who it belongs to, and that Talos is installed. */
export function paintBinding(draft: ServerBinding, { metadata }: MetalMachine, now: Date): void {
  const reference = draft.spec!.metalMachineRef;
  if (metadata.uid !== undefined && reference.uid !== metadata.uid) draft.spec!.metalMachineRef = { ...reference, uid: metadata.uid };
  const isKnown = conditionOf(draft.status?.conditions, 'TalosInstalled') !== undefined;
  if (isKnown || metadata.annotations?.[INSTALLED_ANNOTATION] !== draft.metadata.name) return;
  const conditions = TALOS_CONDITIONS.reduce((known, type) => markTrue(known, type, now), draft.status?.conditions ?? []);
  draft.status = { ...draft.status, conditions };
}

function paintInstalled({ metadata }: MetalMachine, binding: ServerBinding): void {
  const isInstalled = isTrue(binding.status?.conditions, 'TalosInstalled');
  if (isInstalled) metadata.annotations = { ...metadata.annotations, [INSTALLED_ANNOTATION]: binding.metadata.name };
}

function unblockMove({ metadata }: MetalMachine): void {
  if (metadata.annotations) delete metadata.annotations[BLOCK_MOVE_ANNOTATION];
}

function addressesOf({ spec }: ServerBinding): MachineAddress[] {
  const { addresses = [], hostname } = spec ?? {};
  const names: MachineAddress[] = hostname ? [{ type: 'Hostname', address: hostname }] : [];
  return [...addresses.map((address): MachineAddress => ({ type: 'InternalIP', address })), ...names];
}

// A summary, which Cluster API takes over to the Machine. Where Talos is installed, a node runs whatever else its machine is not given.
function readinessOf({ status }: ServerBinding): Observation {
  const conditions = status?.conditions;
  const troubles = isTrue(conditions, 'TalosInstalled') ? [] : TROUBLE_CONDITIONS.flatMap((type) => conditionOf(conditions, type) ?? []);
  const [first] = troubles;
  if (!first) return holds('Ready');
  const { reason = first.type, severity, message = '' } = first;
  return { type: 'Ready', status: 'False', reason, severity: severity === 'Warning' ? severity : 'Error', message };
}

// As they are, with their times; what is no longer so goes.
function copyConditions(draft: MetalMachine, { status }: ServerBinding): void {
  const copied = (status?.conditions ?? []).filter(({ type }) => !OWN_BINDING_CONDITIONS.includes(type));
  const replaced = new Set<string>([...TALOS_CONDITIONS, ...TROUBLE_CONDITIONS, ...copied.map(({ type }) => type)]);
  const others = (draft.status?.conditions ?? []).filter(({ type }) => !replaced.has(type));
  draft.status = { ...draft.status, conditions: sortConditions([...others, ...copied]) };
}

function paint(draft: MetalMachine, observations: readonly Observation[], seen: { readonly now: Date; readonly isPaused: boolean }): void {
  const status = { ...draft.status };
  observe(status, observations, seen);
  draft.status = status;
}
