import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyJson } from '@sidero/core';
import { applyDefaults } from './default.ts';
import { prune } from './prune.ts';
import type { Schema } from './schema.ts';
import { newViolations, validate } from './validate.ts';

const SCHEMA: Schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['name'],
      properties: {
        name: { type: 'string', minLength: 2 },
        size: { type: 'integer', default: 3 },
        port: { 'x-kubernetes-int-or-string': true },
        open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { closed: { type: 'object', properties: {} } } },
        map: { type: 'object', additionalProperties: { type: 'object', properties: { a: { type: 'string' } } } },
        items: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['key'],
          items: { type: 'object', properties: { key: { type: 'string' } } },
        },
        raw: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: {} },
      },
    },
  },
};

describe('pruning', () => {
  test('takes what the schema does not name, and tells where it stood', () => {
    const object = {
      apiVersion: 'v1',
      kind: 'K',
      metadata: { name: 'n' },
      more: 1,
      spec: {
        name: 'ab',
        no: 1,
        open: { any: { thing: 1 }, closed: { x: 1 } },
        map: { k: { a: 'b', c: 1 } },
        items: [{ key: 'a', x: 1 }],
        raw: { kind: 'X', z: 1 },
      },
    };
    expect(prune(object, SCHEMA)).toEqual(['more', 'spec.no', 'spec.open.closed.x', 'spec.map.k.c', 'spec.items[0].x', 'spec.raw.z']);
    expect(object.spec).toEqual({
      name: 'ab',
      open: { any: { thing: 1 }, closed: {} },
      map: { k: { a: 'b' } },
      items: [{ key: 'a' }],
      raw: { kind: 'X' },
    });
  });
});

describe('pruning below preserve-unknown-fields', () => {
  test.each([[[{ op: 'add', value: { a: [{ b: 1 }] } }]], [{ list: [{ deep: { er: [1, { x: 2 }] } }] }], [[[{ a: 1 }]]]])(
    'keeps %j whole',
    (value) => {
      const object = { spec: { value: structuredClone(value) } };
      const kept: Schema = { 'x-kubernetes-preserve-unknown-fields': true };
      expect(prune(object, { type: 'object', properties: { spec: { type: 'object', properties: { value: kept } } } })).toEqual([]);
      expect(object.spec.value).toEqual(value);
    },
  );
});

describe('validation', () => {
  const messages = (spec: unknown) => validate({ spec }, SCHEMA).map(({ field, message }) => `${field}: ${message}`);

  test.each<[unknown, string[]]>([
    [{ name: 'ab', port: '80%' }, []],
    [{ name: 'ab', port: 80 }, []],
    [{ name: 'ab', port: true }, ['spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"']],
    [{ name: 'a' }, ['spec.name: Invalid value: "a": spec.name in body should be at least 2 chars long']],
    [{}, ['spec.name: Required value']],
    [{ name: 'ab', items: [{ key: 'a' }, { key: 'a' }] }, ['spec.items[1]: Duplicate value: {"key":"a"}']],
    [null, ['spec: Invalid value: "null": spec in body must be of type object: "null"']],
  ])('%j', (spec, expected) => {
    expect(messages(spec)).toEqual(expected);
  });

  test('an update may keep what was wrong before, and nothing newly wrong', () => {
    const old = { spec: { name: 'a', port: 1 } };
    const object = { spec: { name: 'a', port: true } };
    expect(newViolations(validate(object, SCHEMA), object, old).map(({ field }) => field)).toEqual(['spec.port']);
  });

  test('no value crashes prune, default and validate', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (spec, more) => {
        const object = copyJson({ spec, more, metadata: {} }) as Record<string, unknown>;
        prune(object, SCHEMA);
        applyDefaults(object, SCHEMA);
        validate(object, SCHEMA);
        expect(object).not.toHaveProperty('more');
      }),
    );
  });
});
