import { failure } from '../errors.ts';
import type { ConfigDocument } from './documents.ts';
import { isMachineDocument } from './strategic-merge.ts';
import { EMPTY, isNull, tableOf, type Table, textOf, textScalar, type Tree, withEntry } from './tree.ts';

/** Label by which a node of the workload cluster is found to be the Server of that UUID. */
export const NODE_LABEL = 'metal.sidero.dev/uuid';

/**
 * The configuration with the kubelet told to register its node with the label; other labels stay.
 * @throws SIDERO_MACHINE_CONFIG_INVALID when there is no machine document, or something else stands where labels belong
 */
export function withNodeLabel(config: readonly ConfigDocument[], uuid: string): readonly ConfigDocument[] {
  const what = 'the bootstrap data';
  const at = config.findIndex(isMachineDocument);
  const machine = config[at];
  if (machine === undefined) throw failure('SIDERO_MACHINE_CONFIG_INVALID', { what, problem: 'it has no document with "machine"' });
  const change = (labels: Tree | undefined): Tree => labelled(labels, `${NODE_LABEL}=${uuid}`, what);
  return config.with(at, { ...machine, table: changed(machine.table, ['machine', 'kubelet', 'extraArgs', 'node-labels'], { change, what }) });
}

function changed(table: Table, [key, ...rest]: readonly string[], given: { change: (leaf: Tree | undefined) => Tree; what: string }): Table {
  const member = table.entries.get(key!);
  if (rest.length === 0) return withEntry(table, key!, given.change(member));
  const inner = tableOf(member ?? EMPTY);
  if (inner === undefined) throw failure('SIDERO_MACHINE_CONFIG_INVALID', { what: given.what, problem: `${key} is not a mapping` });
  return withEntry(table, key!, changed(inner, rest, given));
}

/** Labels are a text with commas; since Talos 1.12 an argument may be a list, too. */
function labelled(labels: Tree | undefined, label: string, what: string): Tree {
  if (labels === undefined || isNull(labels)) return textScalar(label);
  if (labels.kind === 'list') return { kind: 'list', items: [...labels.items, textScalar(label)] };
  const text = textOf(labels);
  if (text === undefined) throw failure('SIDERO_MACHINE_CONFIG_INVALID', { what, problem: 'machine.kubelet.extraArgs.node-labels is not a text' });
  return textScalar(text === '' ? label : `${text},${label}`);
}
