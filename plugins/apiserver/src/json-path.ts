/** One step of a path, applied to all values found so far. */
type Step = (values: readonly unknown[]) => unknown[];

/** A compiled path: the values it finds in `root`, in order. */
export type JsonPath = (root: unknown) => unknown[];

/**
 * Compiles the JSONPath dialect of printer columns (`.spec.x`, `.metadata.labels.a\.b/c`, `['a.b']`, `[0]`, `[*]`,
 * `[?(@.type=="Ready")]`), which differs from RFC 9535 in its escapes. Throws a SyntaxError that says where.
 */
export function compileJsonPath(path: string): JsonPath {
  const text = path
    .trim()
    .replace(/^\{(.*)\}$/s, '$1')
    .replace(/^\$/, '');
  const steps = readSteps(text);
  return (root) => steps.reduce<unknown[]>((values, step) => step(values), [root]);
}

const FIELD = /\.((?:\\.|[^.[\]\\])+)/y;
const QUOTED = /\[(?:'([^']*)'|"([^"]*)")\]/y;
const INDEX = /\[(-?\d+)\]/y;
const WILDCARD = /(?:\[\*\]|\.\*)/y;
const FILTER = /\[\?\(\s*@((?:\.(?:\\.|[^.[\]\\=!<>\s()])+)*)\s*(?:(==|!=|<=|>=|<|>)\s*("(?:[^"\\]|\\.)*"|'[^']*'|-?[\w.]+)\s*)?\)\]/y;

const READERS: readonly { readonly pattern: RegExp; step(match: RegExpExecArray): Step }[] = [
  { pattern: WILDCARD, step: () => (values) => values.flatMap(members) },
  { pattern: FIELD, step: (match) => field(match[1]!.replaceAll(/\\(.)/g, '$1')) },
  { pattern: QUOTED, step: (match) => field(match[1] ?? match[2]!) },
  { pattern: INDEX, step: (match) => (values) => values.flatMap((value) => (Array.isArray(value) ? present(value.at(Number(match[1]))) : [])) },
  { pattern: FILTER, step: filter },
];

function readSteps(text: string): Step[] {
  const steps: Step[] = [];
  let position = 0;
  while (position < text.length) {
    const read = READERS.map(({ pattern, step }) => {
      pattern.lastIndex = position;
      const match = pattern.exec(text);
      return match ? { step: step(match), length: match[0].length } : undefined;
    }).find((one) => one !== undefined);
    if (!read) throw new SyntaxError(`JSONPath ${JSON.stringify(text)} is not understood from character ${position} on`);
    steps.push(read.step);
    position += read.length;
  }
  return steps;
}

const present = (value: unknown) => (value === undefined ? [] : [value]);

function members(value: unknown): unknown[] {
  return value !== null && typeof value === 'object' ? Object.values(value) : [];
}

function field(name: string): Step {
  return (values) =>
    values.flatMap((value) =>
      value !== null && typeof value === 'object' && Object.hasOwn(value, name) ? present((value as Record<string, unknown>)[name]) : [],
    );
}

function filter(match: RegExpExecArray): Step {
  const inner = compileJsonPath(match[1]!);
  const [, , operator, literal] = match;
  const wanted = literal === undefined ? undefined : literalOf(literal);
  const holds = (item: unknown) => inner(item).some((found) => operator === undefined || compare(found, operator, wanted));
  return (values) => values.flatMap((value) => members(value).filter(holds));
}

function literalOf(text: string): unknown {
  if (text.startsWith("'")) return text.slice(1, -1);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function compare(found: unknown, operator: string, wanted: unknown): boolean {
  if (operator === '==') return found === wanted;
  if (operator === '!=') return found !== wanted;
  if (typeof found !== typeof wanted || (typeof found !== 'number' && typeof found !== 'string')) return false;
  const [a, b] = [found, wanted as typeof found];
  return operator === '<' ? a < b : operator === '<=' ? a <= b : operator === '>' ? a > b : a >= b;
}
