import type { KubeObject } from './kinds.ts';

/** Any JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

type JsonMap = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// In a merge patch null means "remove", so a member that is null or undefined counts as absent.
function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Whether two values are the same JSON; a member that is undefined is the same as none. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => sameJson(item ?? null, right[index] ?? null));
  }
  if (!isMap(left) || !isMap(right)) return false;
  const keys = new Set([...Object.keys(left), ...Object.keys(right)].filter((key) => left[key] !== undefined || right[key] !== undefined));
  return [...keys].every((key) => Object.hasOwn(left, key) && Object.hasOwn(right, key) && sameJson(left[key], right[key]));
}

/**
 * The JSON merge patch (RFC 7386) that turns `from` into `to`; undefined when there is nothing to change. Lists are
 * replaced as a whole. A member of `to` that is null or undefined is removed, as the format cannot set null.
 */
export function mergePatch(from: unknown, to: unknown): unknown {
  if (!isMap(from) || !isMap(to)) return sameJson(from, to) ? undefined : to;
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  const entries = keys.flatMap((key): [string, unknown][] => {
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    const after = Object.hasOwn(to, key) ? to[key] : undefined;
    if (isAbsent(after)) return isAbsent(before) ? [] : [[key, null]];
    const patch = mergePatch(before, after);
    return patch === undefined ? [] : [[key, patch]];
  });
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

/** The patches that an edit of an object needs. */
export interface ObjectPatches {
  /** Everything but the status; undefined when nothing there changed. */
  readonly main: JsonMap | undefined;
  /** For the status subresource. */
  readonly status: JsonMap | undefined;
}

/** Splits an edit as the API wants it: `status` apart, or all in one where the kind has no status subresource. */
export function patchesOf<T extends KubeObject>(from: T, to: T, kind: { readonly statusSubresource?: boolean }): ObjectPatches {
  const { status: statusBefore, ...before } = from as T & { status?: unknown };
  const { status: statusAfter, ...after } = to as T & { status?: unknown };
  // Not ours to change; the precondition is added by the one who sends the patch.
  const metadata = { ...after.metadata, resourceVersion: before.metadata.resourceVersion, uid: before.metadata.uid };
  const status = mergePatch({ status: statusBefore }, { status: statusAfter }) as JsonMap | undefined;
  const main = mergePatch(before, { ...after, metadata }) as JsonMap | undefined;
  if (kind.statusSubresource === false) return { main: main || status ? { ...main, ...status } : undefined, status: undefined };
  return { main, status };
}

/** The patch with the resourceVersion it relies on: the API refuses it (409) when somebody was faster. */
export function underVersion(patch: JsonMap, resourceVersion: string | undefined): JsonMap {
  const metadata = isMap(patch['metadata']) ? patch['metadata'] : {};
  return { ...patch, metadata: { ...metadata, resourceVersion } };
}
