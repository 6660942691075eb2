import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from './kinds.ts';
import { mergePatch, patchesOf, sameJson, underVersion } from './patch.ts';

/** RFC 7386, section 2, as any API server does it. */
function applied(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result = new Map(Object.entries(typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, applied(result.get(key), value));
  }
  return Object.fromEntries(result);
}

// Null cannot be a member in merge patches; in lists it can.
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.array(fc.oneof(fc.constant(null), tie('any')), { maxLength: 3 }),
    tie('map'),
  ),
  map: fc.dictionary(fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'constructor'), fc.string()), tie('any'), { maxKeys: 4 }),
})).map;

describe('merge patch', () => {
  test('applied to the first value it gives the second, for any two', () => {
    fc.assert(
      fc.property(value, value, (from, to) => {
        const patch = mergePatch(from, to);
        expect(sameJson(applied(from, patch ?? {}), to)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('there is none where nothing changed', () => {
    fc.assert(fc.property(value, (same) => mergePatch(same, structuredClone(same)) === undefined));
  });

  test('names only what changed, and removes with null', () => {
    const from = { spec: { a: 1, b: { c: 2, d: 3 }, list: [1, 2] } };
    const to = { spec: { a: 1, b: { c: 5 }, list: [2] } };
    expect(mergePatch(from, to)).toEqual({ spec: { b: { c: 5, d: null }, list: [2] } });
  });

  test('a member that is undefined or null is the same as none', () => {
    expect(mergePatch({ a: 1 }, { a: 1, b: undefined, c: null })).toBeUndefined();
    expect(mergePatch({ a: 1, b: 2 }, { a: 1, b: undefined })).toEqual({ b: null });
  });
});

const server = (more: object): KubeObject => ({
  apiVersion: 'metal.sidero.dev/v1alpha2',
  kind: 'Server',
  metadata: { name: 'a', uid: 'u', resourceVersion: '7' },
  ...more,
});

describe('patches of an object', () => {
  test('status goes apart', () => {
    const { main, status } = patchesOf(
      server({ spec: { accepted: false }, status: { power: 'on' } }),
      server({ spec: { accepted: true }, status: { power: 'off' } }),
      {},
    );
    expect(main).toEqual({ spec: { accepted: true } });
    expect(status).toEqual({ status: { power: 'off' } });
  });

  test('status goes with the rest where the kind has no status subresource', () => {
    const { main, status } = patchesOf(server({}), server({ spec: { a: 1 }, status: { b: 2 } }), { statusSubresource: false });
    expect(main).toEqual({ spec: { a: 1 }, status: { b: 2 } });
    expect(status).toBeUndefined();
  });

  test('version and uid are the API’s: an edit of them is nothing', () => {
    const draft = server({});
    draft.metadata.resourceVersion = '1';
    draft.metadata.uid = 'other';
    expect(patchesOf(server({}), draft, {})).toEqual({ main: undefined, status: undefined });
  });

  test('a patch carries the version it relies on beside other metadata', () => {
    expect(underVersion({ metadata: { labels: { a: null } } }, '7')).toEqual({ metadata: { labels: { a: null }, resourceVersion: '7' } });
    expect(underVersion({ status: { a: 1 } }, '8')).toEqual({ status: { a: 1 }, metadata: { resourceVersion: '8' } });
  });
});
