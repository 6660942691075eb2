import { badRequest } from './status.ts';

/** A condition on a set of labels or fields. */
export type Selector = (values: Readonly<Record<string, string | undefined>>) => boolean;

interface Term {
  readonly key: string;
  readonly matches: (value: string | undefined) => boolean;
}

const KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Reads Kubernetes' label selector notation; undefined when it is empty. @throws a Status 400. */
export function labelSelector(text: string | null): Selector | undefined {
  if (!text?.trim()) return undefined;
  const terms = splitTerms(text).map((part) => labelTerm(part.trim(), text));
  return (labels) => terms.every(({ key, matches }) => matches(Object.hasOwn(labels, key) ? labels[key] : undefined));
}

// Commas inside `in (a,b)` do not separate terms.
function splitTerms(text: string): string[] {
  return text.match(/(?:[^,()]|\([^()]*\)?|\))+/g) ?? [];
}

function labelTerm(part: string, whole: string): Term {
  const fail = () => badRequest(`unable to parse requirement: ${JSON.stringify(part)} in the label selector ${JSON.stringify(whole)} is not valid`);
  const sets = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part);
  const equals = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(part);
  const exists = /^(!?)\s*([^=!\s()]+)$/.exec(part);
  const [key, values] = sets
    ? [sets[1]!, sets[3]!.split(',').map((value) => value.trim())]
    : equals
      ? [equals[1]!, [equals[3]!]]
      : [exists?.[2] ?? '', []];
  if (!KEY.test(key) || !values.every((value) => VALUE.test(value))) throw fail();
  if (sets)
    return {
      key,
      matches:
        sets[2] === 'in' ? (value) => value !== undefined && values.includes(value) : (value) => value === undefined || !values.includes(value),
    };
  if (equals) return { key, matches: equals[2] === '!=' ? (value) => value !== values[0] : (value) => value === values[0] };
  return { key, matches: exists![1] === '!' ? (value) => value === undefined : (value) => value !== undefined };
}

/** A field selector: what it demands of `metadata.name`, apart, because the store can use it. */
export interface FieldSelector {
  readonly name: string | undefined;
  readonly namespace: string | undefined;
  readonly matches: Selector;
}

/** Reads a field selector; only `fields` may be named. @throws a Status 400 with Kubernetes' wording. */
export function fieldSelector(text: string | null, fields: ReadonlySet<string>): FieldSelector | undefined {
  if (!text?.trim()) return undefined;
  const terms = text.split(/(?<!\\),/).map((part) => {
    const [, key, operator, value] = /^([^=!]+)(==|=|!=)(.*)$/s.exec(part.trim()) ?? [];
    if (key === undefined) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    if (!fields.has(key)) throw badRequest(`field label not supported: ${key}`);
    return { key, isNot: operator === '!=', value: value!.replaceAll(/\\([\\,=])/g, '$1') };
  });
  const wanted = (key: string) => terms.find((term) => term.key === key && !term.isNot)?.value;
  return {
    name: wanted('metadata.name'),
    namespace: wanted('metadata.namespace'),
    matches: (values) => terms.every(({ key, isNot, value }) => ((values[key] ?? '') === value) !== isNot),
  };
}
