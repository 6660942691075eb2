import { failure } from '../errors.ts';
import type { LabelSelector, Qualifiers, Server, ServerClass } from './types.gen.ts';

type Labels = Readonly<Record<string, string>>;

/** Whether an actual value is as demanded. */
type Matches = (actual: unknown) => boolean;

const LABEL_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const LABEL_PREFIX = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/**
 * Compiles a class to the question whether a Server belongs to it: it is accepted, not cordoned, and both its labels and its
 * hardware are as the class demands. A class without demands holds every such Server.
 * @throws SIDERO_SERVER_CLASS_INVALID when the label selector is one that Kubernetes would refuse
 */
export function matchServerClass({ metadata, spec }: ServerClass): (server: Server) => boolean {
  const refuse: Refuse = (problem) => failure('SIDERO_SERVER_CLASS_INVALID', { name: metadata.name, problem });
  const isSelected = compileSelector(spec?.selector ?? {}, refuse);
  const isQualified = compileQualifiers(spec?.qualifiers ?? {});
  return (server) => server.spec?.accepted === true && !server.spec.cordoned && isSelected(server.metadata.labels ?? {}) && isQualified(server);
}

type Refuse = (problem: string) => Error;

function compileSelector({ matchLabels, matchExpressions }: LabelSelector, refuse: Refuse): (labels: Labels) => boolean {
  const terms = [
    ...Object.entries(matchLabels ?? {}).map(([key, value]) => ({ key, operator: 'In', values: [value] })),
    ...(matchExpressions ?? []).map(({ key, operator, values }) => ({ key, operator, values: values ?? [] })),
  ].map((term) => compileTerm(term, refuse));
  return (labels) => terms.every((term) => term(labels));
}

function compileTerm(
  { key, operator, values }: { key: string; operator: string; values: readonly string[] },
  refuse: Refuse,
): (labels: Labels) => boolean {
  checkTerm({ key, values }, refuse);
  const has = (labels: Labels) => Object.hasOwn(labels, key);
  const isListed = (labels: Labels) => has(labels) && values.includes(labels[key]!);
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) throw refuse(`selector: "${key}": ${operator} needs at least one value`);
      return operator === 'In' ? isListed : (labels) => !isListed(labels);
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) throw refuse(`selector: "${key}": ${operator} takes no values`);
      return operator === 'Exists' ? has : (labels) => !has(labels);
    default:
      throw refuse(`selector: "${key}": "${operator}" is none of In, NotIn, Exists, DoesNotExist`);
  }
}

function checkTerm({ key, values }: { key: string; values: readonly string[] }, refuse: Refuse): void {
  const parts = key.split('/');
  const isKey = parts.length <= 2 && LABEL_NAME.test(parts.at(-1)!) && (parts.length === 1 || LABEL_PREFIX.test(parts[0]!));
  if (!isKey) throw refuse(`selector: "${key}" is no label key`);
  const wrong = values.find((value) => value !== '' && !LABEL_NAME.test(value));
  if (wrong !== undefined) throw refuse(`selector: "${key}": "${wrong}" is no label value`);
}

function compileQualifiers({ hardware, labelSelectors }: Qualifiers): (server: Server) => boolean {
  const entries = (hardware ?? []).map((entry) => compileDemand(entry) ?? always);
  // As the original has it, and users rely on: one pair of one map is enough, also among the pairs of a single map.
  const pairs = (labelSelectors ?? []).flatMap((labels) => Object.entries(labels));
  const hasHardware = ({ spec }: Server) => entries.length === 0 || (isPresent(spec?.hardware) && entries.some((entry) => entry(spec.hardware)));
  const hasLabel = ({ metadata: { labels = {} } }: Server) =>
    !labelSelectors?.length || pairs.some(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
  return (server) => hasHardware(server) && hasLabel(server);
}

/**
 * Compiles a demanded value. Absent, null, '', 0 and false demand nothing, nor does an object of only such members: undefined.
 * Lists are compared place by place, and the actual one may be longer.
 */
function compileDemand(demanded: unknown): Matches | undefined {
  if (Array.isArray(demanded)) return compileList(demanded);
  if (typeof demanded === 'object' && demanded !== null) return compileObject(demanded);
  return demanded ? (actual) => actual === demanded : undefined;
}

// Even an empty list makes the object it stands in one that demands something, so it needs a counterpart.
function compileList(demanded: readonly unknown[]): Matches {
  const items = demanded.map((item) => compileDemand(item) ?? always);
  return (actual) => {
    const list: readonly unknown[] = Array.isArray(actual) ? actual : [];
    return list.length >= items.length && items.every((item, index) => item(list[index]));
  };
}

function compileObject(demanded: object): Matches | undefined {
  const members = Object.entries(demanded).flatMap(([key, value]: [string, unknown]) => {
    const matches = compileDemand(value);
    return matches ? [{ key, matches }] : [];
  });
  if (members.length === 0) return undefined;
  return (actual) => isPresent(actual) && members.every(({ key, matches }) => matches(actual[key]));
}

function isPresent(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function always(): boolean {
  return true;
}
