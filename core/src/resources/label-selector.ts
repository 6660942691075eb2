import { failure } from '../errors.ts';

type Labels = Readonly<Record<string, string>>;
type Requirement = (labels: Labels) => boolean;

const KEY = String.raw`(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?`;
const VALUE = String.raw`(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?`;
const EXISTS = new RegExp(`^(!?)\\s*(${KEY})$`);
const EQUALS = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*(${VALUE})$`);
const IN = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(\\s*(${VALUE}(?:\\s*,\\s*${VALUE})*)\\s*\\)$`);

/**
 * Reads a label selector in Kubernetes' notation (`a=b,c!=d,e in (f, g),h notin (i),j,!k`); empty selects everything.
 * As there, `!=` and `notin` also select what lacks the label.
 * @throws SIDERO_SELECTOR_INVALID
 */
export function labelSelector(selector: string): (labels: Labels | undefined) => boolean {
  const requirements = split(selector).map((part) => requirement(part, selector));
  return (labels = {}) => requirements.every((holds) => holds(labels));
}

// At commas outside parentheses.
function split(selector: string): string[] {
  return selector.trim() === '' ? [] : selector.split(/,(?![^(]*\))/).map((part) => part.trim());
}

function requirement(part: string, selector: string): Requirement {
  const [, not, existing] = EXISTS.exec(part) ?? [];
  if (existing !== undefined) return (labels) => Object.hasOwn(labels, existing) === (not === '');
  const [, key, operator, value] = EQUALS.exec(part) ?? IN.exec(part) ?? [];
  if (key === undefined || value === undefined) throw failure('SIDERO_SELECTOR_INVALID', { selector, problem: `"${part}" is no requirement` });
  const values = value.split(',').map((one) => one.trim());
  return comparison(key, values, operator === '!=' || operator === 'notin');
}

function comparison(key: string, values: readonly string[], isNegated: boolean): Requirement {
  return (labels) => (Object.hasOwn(labels, key) && values.includes(labels[key]!)) !== isNegated;
}
