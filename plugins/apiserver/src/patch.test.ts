import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { apply } from './apply.ts';
import type { JsonObject } from './object.ts';
import { applyJsonPatch, mergePatch } from './patch.ts';
import { METADATA_SCHEMA } from './registry/metadata.ts';
import type { Schema } from './schema/schema.ts';
import { ApiError } from './status.ts';
import { strategicMerge } from './strategic-merge.ts';

const SCHEMA: Schema = { type: 'object', properties: { metadata: METADATA_SCHEMA } };
const APPLIER = { manager: 'one', apiVersion: 'v1', subresource: undefined, force: false };

describe('patches', () => {
  test('a merge patch removes what is null and replaces lists', () => {
    expect(mergePatch({ a: 1, b: { c: 1, d: 2 }, e: [1] }, { a: null, b: { c: null }, e: [2] })).toEqual({ b: { d: 2 }, e: [2] });
  });

  test('a JSON patch leaves the object it is applied to alone', () => {
    const target = { a: { b: 1 } };
    expect(applyJsonPatch(target, [{ op: 'replace', path: '/a/b', value: 2 }])).toEqual({ a: { b: 2 } });
    expect(target).toEqual({ a: { b: 1 } });
  });

  test('a strategic merge patch merges owners by uid and finalizers by value', () => {
    const target = {
      metadata: {
        finalizers: ['a', 'b'],
        ownerReferences: [
          { uid: '1', name: 'x' },
          { uid: '2', name: 'y' },
        ],
      },
    };
    const patch = {
      metadata: {
        '$deleteFromPrimitiveList/finalizers': ['a'],
        finalizers: ['c'],
        ownerReferences: [
          { uid: '1', $patch: 'delete' },
          { uid: '2', name: 'z' },
        ],
      },
    };
    expect(strategicMerge(target, patch, SCHEMA)).toEqual({ metadata: { finalizers: ['b', 'c'], ownerReferences: [{ uid: '2', name: 'z' }] } });
  });

  test('no patch crashes them or touches a prototype', () => {
    const json = fc.dictionary(
      fc.constantFrom('a', 'metadata', '$patch', '$retainKeys', '$setElementOrder/a', 'finalizers', 'ownerReferences', 'constructor'),
      fc.jsonValue(),
    ) as fc.Arbitrary<JsonObject>;
    const operations = fc.array(
      fc.record({ op: fc.constantFrom('add', 'remove', 'test', 'move', 'copy', 'x'), path: fc.string(), from: fc.string(), value: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(json, json, operations, (target, patch, list) => {
        for (const change of [
          () => mergePatch(target, patch),
          () => applyJsonPatch(target, list),
          () => strategicMerge(target, patch, SCHEMA),
          () => apply(target, patch, { schema: SCHEMA, applier: APPLIER }),
        ]) {
          try {
            change();
          } catch (error) {
            expect(error).toBeInstanceOf(ApiError);
          }
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
    );
  });
});
