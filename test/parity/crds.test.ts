import { readFileSync } from 'node:fs';
import { coreCustomResources, type CustomResourceDefinition } from '@sidero/core';
import { capsCustomResources } from '@sidero/plugin-caps';
import { describe, expect, test } from 'vitest';
import { addedLabels, commonLabels, groups, kinds, type Shape, shapes, types } from './crds.expected.ts';

/** A field by its path and its attributes: `.spec.bmc.port`, `type=integer format=int32`. */
type Field = readonly [path: string, attributes: string];

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly [attribute: string]: unknown;
}

const definitions = new Map([...coreCustomResources(), ...capsCustomResources()].map(({ definition }) => [definition.spec.names.kind, definition]));
const joined = (attributes: readonly string[]) =>
  attributes
    .flatMap((text) => text.split(' '))
    .filter(Boolean)
    .toSorted()
    .join(' ');

function* fieldsOfSchema(schema: Schema, path: string, isRequired = false): Generator<Field> {
  const { description: _, properties, required, items, additionalProperties, ...rest } = schema;
  const attributes = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value).replaceAll('"', '')}`);
  const values = additionalProperties ? [`additionalProperties=${String(additionalProperties['type'])}`] : [];
  yield [path, joined([...attributes, ...values, isRequired ? 'required' : ''])];
  for (const [name, member] of Object.entries(properties ?? {})) yield* fieldsOfSchema(member, `${path}.${name}`, required?.includes(name));
  if (items) yield* fieldsOfSchema(items, `${path}[]`);
}

function* fieldsOfShape(shape: Shape, path: string, attributes: readonly string[] = []): Generator<Field> {
  if (typeof shape === 'object') {
    const { '': own, ...members } = shape;
    yield [path, joined(['type=object', typeof own === 'string' ? own : '', ...attributes])];
    for (const [key, member] of Object.entries(members)) {
      yield* fieldsOfShape(member, `${path}.${key.replace('!', '')}`, key.endsWith('!') ? ['required'] : []);
    }
    return;
  }
  const [name, ...more] = shape.split(' ') as [string, ...string[]];
  if (name.endsWith('[]')) {
    yield [path, joined(['type=array', ...more, ...attributes])];
    yield* fieldsOfShape(name.slice(0, -2), `${path}[]`);
  } else if (name in types) yield [path, joined([types[name]!, ...more, ...attributes])];
  else yield* fieldsOfShape(shapes[name]!, path, [...more, ...attributes]);
}

/** The table of docs/crd-additions.md. */
const additions = readFileSync(new URL('../../docs/crd-additions.md', import.meta.url), 'utf8')
  .split('\n')
  .map((line) => /^\| (\w+) \| (v1[\w, ]+) \| `(.+?)` \| (\w+(?:\[\])?)(?: \(([\w-]+)\))? \|/.exec(line))
  .filter((row) => row !== null)
  .map(([, kind, versions, field, type, format]) => ({
    kind: kind!,
    versions: versions!.split(', '),
    field: field!,
    fields: addedFields(`.${field}`, { type: type!, format }),
  }));

/** A row names a type of OpenAPI, or what stands in crds.expected.ts: `any`, or a list of a shape. */
function addedFields(path: string, { type, format }: { type: string; format: string | undefined }): Field[] {
  const isExpected = type === 'any' || type.endsWith('[]');
  return isExpected ? [...fieldsOfShape(type, path)] : [[path, joined([`type=${type}`, format ? `format=${format}` : ''])]];
}

function versionOf(definition: CustomResourceDefinition, name: string) {
  return definition.spec.versions.find((version) => version.name === name)!;
}

test('there are these kinds and no others', () => {
  expect([...definitions.keys()].toSorted()).toEqual(Object.keys(kinds).toSorted());
});

describe.each(Object.entries(kinds))('%s', (kind, expected) => {
  const definition = definitions.get(kind)!;
  const group = groups[expected.group];

  test('is named, labelled and converted as in the original', () => {
    const { versions: _, ...spec } = definition.spec;
    expect({ ...definition, spec }).toEqual({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: `${expected.plural}.${expected.group}`,
        labels: { ...commonLabels, ...group.labels, ...(kind.startsWith('Metal') ? addedLabels : {}) },
        annotations: { 'controller-gen.kubebuilder.io/version': 'v0.17.0', 'cert-manager.io/inject-ca-from': group.certificate },
      },
      spec: {
        group: expected.group,
        scope: expected.namespaced ? 'Namespaced' : 'Cluster',
        names: {
          kind,
          listKind: `${kind}List`,
          plural: expected.plural,
          singular: kind.toLowerCase(),
          ...(expected.categories ? { categories: expected.categories } : {}),
        },
        conversion: {
          strategy: 'Webhook',
          webhook: {
            conversionReviewVersions: ['v1', 'v1beta1'],
            clientConfig: { service: { namespace: 'sidero-system', name: group.webhookService, path: '/convert' } },
          },
        },
      },
    });
    expect(definition.spec.versions.map(({ name }) => name)).toEqual(Object.keys(expected.versions));
  });

  describe.each(Object.entries(expected.versions))('%s', (name, { spec, status, noColumns }) => {
    const version = versionOf(definition, name);
    const fields = [...fieldsOfSchema(version.schema.openAPIV3Schema as Schema, '')];
    const added = additions.filter((row) => row.kind === kind && row.versions.includes(name));

    test('is served, stored and printed as in the original', () => {
      const { schema: _, additionalPrinterColumns, ...rest } = version;
      const subresources = expected.statusSubresource === false ? {} : { subresources: { status: {} } };
      expect(rest).toEqual({ name, served: true, storage: name === expected.storage, ...subresources });
      const columns = additionalPrinterColumns?.map((column) =>
        [column.name, column.type, column.jsonPath, ...(column.priority === undefined ? [] : [column.priority])].join('|'),
      );
      expect(columns).toEqual(noColumns ? undefined : expected.columns);
    });

    test('has every field of the original, and besides them only the additions that are listed', () => {
      const common: Field[] = [
        ['', 'type=object'],
        ['.apiVersion', 'type=string'],
        ['.kind', 'type=string'],
        ['.metadata', 'type=object'],
      ];
      const original = [...common, ...fieldsOfShape(spec, '.spec'), ...fieldsOfShape(status, '.status')];
      const paths = new Set(original.map(([path]) => path));
      expect(
        added.filter(({ field }) => paths.has(`.${field}`)),
        'listed as additions, but the original has them',
      ).toEqual([]);
      const wanted = [...original, ...added.flatMap(({ fields: those }) => those)];
      expect(Object.fromEntries(fields)).toEqual(Object.fromEntries(wanted));
    });

    test('describes each of its fields', () => {
      const undescribed = (schema: Schema, path: string): string[] =>
        Object.entries(schema.properties ?? {}).flatMap(([key, member]) => [
          ...(member.description || `${path}.${key}` === '.metadata' ? [] : [`${path}.${key}`]),
          ...undescribed(member, `${path}.${key}`),
          ...(member.items ? undescribed(member.items, `${path}.${key}[]`) : []),
        ]);
      expect(undescribed(version.schema.openAPIV3Schema as Schema, '')).toEqual([]);
    });
  });
});

test('every addition that is listed is about a kind and versions there are', () => {
  expect(additions.length).toBeGreaterThan(0);
  for (const { kind, versions } of additions) expect(Object.keys(kinds[kind]!.versions)).toEqual(expect.arrayContaining(versions));
});
