import type { HookName } from '../hooks.ts';

/** What tapable hands to `register`, as far as it is touched. */
export interface Tap {
  name: string;
  type: 'sync' | 'async' | 'promise';
  optional?: boolean;
  fn: (...values: unknown[]) => unknown;
}

export type RunTap = (...values: unknown[]) => unknown;

type Fields = Readonly<Record<string, unknown>>;
/** By field, whether a value will do. */
type Shape = Readonly<Record<string, (value: unknown) => boolean>>;

const isText = (value: unknown): boolean => typeof value === 'string';
const isList = (value: unknown): boolean => Array.isArray(value);
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const hasScores = (value: unknown): boolean => Array.isArray(value) && value.every((one) => isFields(one) && Number.isFinite(one['score']));

const BOOTS = { environment: isText, args: isList, reason: isText };
const BOOT_SHAPES: Readonly<Record<string, Shape>> = {
  agent: BOOTS,
  environment: BOOTS,
  disk: { method: isText, reason: isText },
  wait: { status: Number.isInteger, reason: isText },
};

/** What each hook takes for an answer beside undefined. `like` shows it to whoever has answered something else. */
const ANSWERS: Readonly<Record<Exclude<HookName, 'stream'>, { readonly like: string; shapeOf(answer: Fields): Shape }>> = {
  discover: {
    like: '{ ...draft, labels: { ...draft.labels, rack: "a1" } }',
    shapeOf: () => ({ labels: isFields, annotations: isFields, spec: isFields }),
  },
  accept: { like: '{ accepted: true, reason: "…" }', shapeOf: () => ({ accepted: (value) => typeof value === 'boolean', reason: isText }) },
  wipe: {
    like: '{ hold: "…" } or { ...plan, method: "zero" }',
    shapeOf: ({ hold }) => (hold === undefined ? { method: isText, disks: isList } : { hold: isText }),
  },
  allocate: {
    like: '{ ...selection, candidates: selection.candidates.map((one) => ({ ...one, score: one.score + 10 })) }',
    shapeOf: () => ({ claim: isFields, candidates: hasScores, rejected: isList, pending: isList }),
  },
  bind: {
    like: '{ ...identity, labels: { ...identity.labels, rack: "a1" } }',
    shapeOf: () => ({ labels: isFields, documents: isList, patches: isList }),
  },
  boot: {
    like: '"args" in plan ? { ...plan, args: [...plan.args, "x=1"] } : undefined',
    shapeOf: ({ target }) => BOOT_SHAPES[String(target)] ?? { target: () => false },
  },
};

/**
 * The tap, its answer checked: what a hook cannot take would break the stage, or the next tap, which is not to blame. Texts name no values:
 * they may be secrets. A callback tap becomes a promise tap, so that it too has a deadline.
 */
export function checkedTap(hook: HookName, tap: Tap): RunTap {
  if (hook === 'stream') return tap.fn;
  const check = (answer: unknown): unknown => {
    const problem = problemOf(hook, answer);
    if (problem) throw new TypeError(`${problem}; return ${ANSWERS[hook].like}, or undefined`);
    return answer;
  };
  if (tap.type === 'sync') return (...values) => check(refusePromise(hook, tap.fn(...values)));
  const run = tap.type === 'async' ? called(tap.fn) : tap.fn;
  return async (...values) => check(await run(...values));
}

function problemOf(hook: Exclude<HookName, 'stream'>, answer: unknown): string | undefined {
  if (answer === undefined) return undefined;
  if (!isFields(answer)) return `it returned ${kindOf(answer)}`;
  const wrong = Object.entries(ANSWERS[hook].shapeOf(answer)).find(([key, fits]) => !fits(answer[key]));
  return (
    wrong &&
    `"${wrong[0]}" in what it returned is ${wrong[0] === 'candidates' && isList(answer['candidates']) ? 'a list with a score that is no number' : kindOf(answer[wrong[0]])}`
  );
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value} that it cannot be`;
}

// tapable would hand the promise on as the value.
function refusePromise(hook: HookName, answer: unknown): unknown {
  if (typeof (answer as { then?: unknown } | undefined)?.then !== 'function') return answer;
  (answer as Promise<unknown>).then(undefined, () => undefined);
  throw new TypeError(`it returned a promise; tap an async function with hooks.${hook}.tapPromise(…) instead of tap(…)`);
}

function called(fn: RunTap): RunTap {
  return (...values) =>
    new Promise((settle, refuse) => void fn(...values, (error: unknown, value: unknown) => (error ? refuse(error) : settle(value))));
}
