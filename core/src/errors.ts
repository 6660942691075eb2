import { coreErrors } from './errors/table.ts';

export { messageOf } from './errors/message-of.ts';

/** What one error code says. `details` is what the thrower knows; both texts are single sentences without secrets. */
export interface ErrorEntry<D> {
  /** The thing and the cause. */
  message(details: D): string;
  /** The next step for the operator. */
  next(details: D): string;
}

// The details of an entry: all that its `message` or its `next` asks for.
type Details<E> = E extends { message(details: infer M): string; next(details: infer N): string } ? M & N : never;

/**
 * An error an operator can act on: `code` for machines, the message names thing and cause, `next` says what to do.
 * `cause` keeps the original error.
 */
export class SideroError extends Error {
  readonly code: string;
  readonly next: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(given: { code: string; message: string; next: string; details: Record<string, unknown>; cause?: unknown }) {
    super(given.message, given.cause === undefined ? undefined : { cause: given.cause });
    this.name = 'SideroError';
    this.code = given.code;
    this.next = given.next;
    this.details = given.details;
  }

  /** Two lines for a terminal: code and message, then the next step. */
  toText(): string {
    return `${this.code}: ${this.message}\n  Next: ${this.next}`;
  }
}

/**
 * Makes the thrower of a package's error table. Codes start with `SIDERO_` and are unique over all packages:
 * core's table is errors/table.ts, a plugin has its own `errors.ts`; a test compares both with the README.
 *
 * @example throw failure('SIDERO_CONFIG_MISSING', { directory });
 */
export function defineErrors<T extends Record<`SIDERO_${string}`, ErrorEntry<never>>>(table: T) {
  const failure = <C extends keyof T & string>(code: C, details: Details<T[C]> & { cause?: unknown }): SideroError => {
    const entry = table[code] as unknown as ErrorEntry<unknown>;
    const { cause, ...rest } = details as Record<string, unknown>;
    return new SideroError({ code, message: entry.message(details), next: entry.next(details), details: rest, cause });
  };
  failure.table = table;
  return failure;
}

/** True when `thrown` is a SideroError of that code. */
export function hasCode(thrown: unknown, code: string): thrown is SideroError {
  return thrown instanceof SideroError && thrown.code === code;
}

/** Throws what the table in errors/table.ts says. */
export const failure = defineErrors(coreErrors);
