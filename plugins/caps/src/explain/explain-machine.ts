import { type Condition, conditionOf, type ServerBinding } from '@sidero/core';
import { takenBy } from '../configdata/config-claim.ts';
import { isPaused } from '../controllers/contract.ts';
import { type Cluster, keyOf, type Machine } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';

/** What is known of the machine that a server is, or is to be. */
export interface MachineFindings {
  readonly server: string;
  readonly binding: ServerBinding | undefined;
  /** The one that the ServerBinding names, else one that has the server by its provider id. */
  readonly metalMachine: MetalMachine | undefined;
  readonly machine: Machine | undefined;
  readonly cluster: Cluster | undefined;
  when(time: Date): string;
}

/** A line a fact, with what to do about it; none for a server that nobody has. */
export function explainMachine(found: MachineFindings): readonly string[] {
  const { binding, metalMachine } = found;
  if (!binding && !metalMachine) return [];
  return [holderText(found), ...pausedTexts(found), ...conditionTexts(found), ...(binding ? [configText(binding, found)] : [])];
}

function holderText({ server, binding, metalMachine, machine, cluster }: MachineFindings): string {
  const reference = binding?.spec?.metalMachineRef;
  const name = metalMachine ? keyOf(metalMachine.metadata) : `${reference?.namespace}/${reference?.name}`;
  const of = [machine && `Machine ${machine.metadata.name}`, cluster && `Cluster ${cluster.metadata.name}`].filter(Boolean).join(', ');
  const held = `MetalMachine ${name} has it${of ? ` (${of})` : ''}`;
  if (!metalMachine) return `${held}, and does not exist. Next: restore it; or delete ServerBinding ${server}, which has the server wiped`;
  if (!binding) return `${held}, but its ServerBinding is lost: it is made again by itself, and nothing is wiped meanwhile`;
  return held;
}

function pausedTexts({ metalMachine, cluster }: MachineFindings): readonly string[] {
  if (!metalMachine || !isPaused(metalMachine, cluster)) return [];
  const byCluster = cluster?.spec?.paused === true;
  return [
    `paused by ${byCluster ? `spec.paused of Cluster ${cluster.metadata.name}` : 'its annotation cluster.x-k8s.io/paused'}: nothing goes on until that is taken off`,
  ];
}

// What holds needs no line; who looks for it finds it in the object.
function conditionTexts({ metalMachine, binding, when }: MachineFindings): readonly string[] {
  const orphan = conditionOf(binding?.status?.conditions, 'MetalMachineExists');
  const conditions = [...(metalMachine?.status?.conditions ?? []), ...(orphan ? [orphan] : [])].filter(({ status }) => status === 'False');
  return conditions.filter((condition) => !isSummary(condition, conditions)).map((condition) => conditionText(condition, when));
}

// `Ready` says what another one says.
function isSummary({ type, message }: Condition, all: readonly Condition[]): boolean {
  return type === 'Ready' && all.some((other) => other.type !== 'Ready' && other.message === message);
}

function conditionText({ type, reason, message, lastTransitionTime }: Condition, when: MachineFindings['when']): string {
  return `${type} is False since ${when(new Date(lastTransitionTime))}${reason ? `, ${reason}` : ''}${message ? `: ${message}` : ''}`;
}

function configText(binding: ServerBinding, { when }: MachineFindings): string {
  const taken = takenBy(binding);
  if (!taken) return 'its configuration was not asked for yet; it is, once its Talos has booted from the network';
  return `its configuration was last taken ${when(new Date(taken.at))}, by ${taken.address}`;
}
