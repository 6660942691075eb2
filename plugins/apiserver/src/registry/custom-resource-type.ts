import type { CustomResource, CustomResourceDefinition } from '@sidero/core';
import { compileJsonPath } from '../json-path.ts';
import { type ApiObject, textOf } from '../object.ts';
import { hasDefaults } from '../schema/default.ts';
import type { Schema } from '../schema/schema.ts';
import { ApiError, invalid, violation } from '../status.ts';
import { apiVersionOf, type Column, type ResourceType, type ResourceVersion } from './resource-type.ts';

type DefinedVersion = CustomResourceDefinition['spec']['versions'][number] & { readonly deprecated?: boolean; readonly deprecationWarning?: string };
type PrinterColumn = NonNullable<DefinedVersion['additionalPrinterColumns']>[number];

/** What a definition needs beside itself to be served. */
export type Functions = Pick<CustomResource, 'convert' | 'validate'>;

/** The resource a definition describes. Throws a SyntaxError for a printer column that cannot be read. */
export function customResourceType(definition: CustomResourceDefinition, functions: Functions = {}): ResourceType {
  const { group, names, scope, versions } = definition.spec;
  const served = versions.filter((version) => version.served);
  const storage = versions.find((version) => version.storage) ?? versions[0]!;
  const more = names as { shortNames?: readonly string[] };
  return {
    origin: 'definition',
    group,
    plural: names.plural,
    singular: names.singular || names.kind.toLowerCase(),
    kind: names.kind,
    listKind: names.listKind || `${names.kind}List`,
    shortNames: more.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: scope === 'Namespaced',
    storageVersion: storage.name,
    versions: served.map((version) => resourceVersion(version, { group, kind: names.kind })).toSorted(byPriority),
    strategy: {},
    fields: selectableFields(versions),
    convert: (object, version) => convert(object, apiVersionOf(group, version), functions),
    ...(functions.validate ? { admit: admitter(definition, functions.validate) } : {}),
  };
}

function resourceVersion(version: DefinedVersion, of: { group: string; kind: string }): ResourceVersion {
  const schema = version.schema?.openAPIV3Schema as Schema | undefined;
  const named = `${of.group}/${version.name} ${of.kind} is deprecated`;
  return {
    name: version.name,
    schema,
    hasDefaults: schema !== undefined && hasDefaults(schema),
    hasStatus: version.subresources?.status !== undefined,
    columns: [NAME_COLUMN, ...(version.additionalPrinterColumns?.map(printerColumn) ?? [AGE_COLUMN])],
    deprecation: version.deprecated ? (version.deprecationWarning ?? named) : undefined,
  };
}

const NAME_COLUMN: Column = { name: 'Name', type: 'string', format: 'name', description: '', priority: 0, cell: ({ metadata }) => metadata.name };
const AGE_COLUMN: Column = {
  name: 'Age',
  type: 'date',
  format: '',
  description: '',
  priority: 0,
  cell: ({ metadata }) => metadata.creationTimestamp,
};

function printerColumn({ name, type, format, description, priority, jsonPath }: PrinterColumn): Column {
  const find = compileJsonPath(jsonPath);
  return { name, type, format: format ?? '', description: description ?? '', priority: priority ?? 0, cell: (object) => find(object)[0] };
}

function selectableFields(versions: readonly DefinedVersion[]): ResourceType['fields'] {
  const paths = versions.flatMap((version) => (version as { selectableFields?: readonly { jsonPath: string }[] }).selectableFields ?? []);
  return Object.fromEntries(
    paths.map(({ jsonPath }) => {
      const find = compileJsonPath(jsonPath);
      const read = (object: ApiObject) => {
        const [value] = find(object);
        return value === undefined ? undefined : textOf(value);
      };
      return [jsonPath.replace(/^\./, ''), read];
    }),
  );
}

function convert(object: ApiObject, apiVersion: string, functions: Functions): ApiObject {
  if (object.apiVersion === apiVersion) return object;
  if (!functions.convert) return { ...object, apiVersion };
  return functions.convert(object as never, apiVersion) as unknown as ApiObject;
}

// Kubernetes' order: v2 before v1, v1 before v1beta2, v1beta2 before v1alpha9, then other names by alphabet.
function byPriority(a: ResourceVersion, b: ResourceVersion): number {
  const rank = ({ name }: ResourceVersion): readonly number[] => {
    const [, major, stage, minor] = /^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$/.exec(name) ?? [];
    if (major === undefined) return [0, 0, 0];
    return [stage === undefined ? 3 : stage === 'beta' ? 2 : 1, Number(major), Number(minor ?? 0)];
  };
  const [left, right] = [rank(a), rank(b)];
  const index = left.findIndex((value, at) => value !== right[at]);
  return index === -1 ? (a.name < b.name ? -1 : 1) : right[index]! - left[index]!;
}

// The validator's answer, in the form an API server gives a webhook's denial.
function admitter(
  { metadata, spec }: CustomResourceDefinition,
  validator: NonNullable<CustomResource['validate']>,
): NonNullable<ResourceType['admit']> {
  return (request) => {
    const answer = validator(request as never);
    if (answer.allowed) return;
    const name = (request.object ?? request.oldObject)?.metadata.name ?? '';
    const denied = `admission webhook "v${metadata.name}" denied the request: `;
    if (answer.reason === 'BadRequest') throw new ApiError({ code: 400, reason: 'BadRequest', message: denied + answer.message });
    const violations = answer.errors.map(({ field, value, detail }) => violation.invalid(field, value, detail));
    const status = invalid({ group: spec.group, kind: spec.names.kind }, name, violations);
    throw new ApiError({ code: 422, reason: 'Invalid', message: denied + status.message, details: status.details });
  };
}
