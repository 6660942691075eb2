import type { ApiObject, JsonObject } from './object.ts';
import { isIn, present } from './objects.ts';
import type { Served } from './registry/registry.ts';
import { apiVersionOf } from './registry/resource-type.ts';
import { notAcceptable } from './status.ts';
import { columnDefinitions, partialMetadata, type RowObject, tableRow } from './table.ts';

/** In which form a client wants objects. */
export type Form = { readonly as: 'Object' | 'Metadata'; readonly include?: undefined } | { readonly as: 'Table'; readonly include: RowObject };

const JSON_TYPES = new Set(['application/json', '*/*', 'application/*', 'application/vnd.kubernetes.protobuf', '']);

/** Reads the Accept header and `includeObject`. Protobuf is answered with JSON, which its clients take. @throws a Status 406. */
export function chooseForm(accept: string | undefined, query: URLSearchParams): Form {
  for (const part of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim());
    if (!JSON_TYPES.has(type.toLowerCase())) continue;
    const as = parameters.find((text) => text.startsWith('as='))?.slice(3);
    const isKnownVersion = parameters.includes('v=v1') && parameters.includes('g=meta.k8s.io');
    if (as === undefined) return { as: 'Object' };
    if (as === 'Table' && isKnownVersion) return { as: 'Table', include: rowObject(query.get('includeObject')) };
    if ((as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') && isKnownVersion) return { as: 'Metadata' };
  }
  throw notAcceptable(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']);
}

function rowObject(given: string | null): RowObject {
  return given === 'None' || given === 'Object' ? given : 'Metadata';
}

/** A name for the form, equal for forms that look equal. */
export function formName(form: Form, served: Served): string {
  return `${served.version.name} ${form.as} ${form.as === 'Table' ? form.include : ''}`;
}

/** One object in a form. */
export function represent(object: ApiObject, form: Form, { version }: Served): JsonObject {
  if (form.as === 'Object') return object;
  if (form.as === 'Metadata') return partialMetadata(object);
  const { resourceVersion } = object.metadata;
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion },
    columnDefinitions: columnDefinitions(version),
    rows: [tableRow(object, version, form.include ?? 'Metadata')],
  };
}

/** The text of one stored object in a form; the stored text itself when nothing is to be changed. */
export function representText(json: string, form: Form, served: Served): string {
  if (form.as === 'Object' && isIn(json, served)) return json;
  return JSON.stringify(represent(present(json, served), form, served));
}

/** The text of a list in a form. `metadata` is the list's. */
export function listText(rows: readonly { readonly json: string }[], metadata: JsonObject, { form, served }: { form: Form; served: Served }): string {
  const { type, version } = served;
  if (form.as === 'Table') {
    const { include } = form;
    const table = {
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata,
      columnDefinitions: columnDefinitions(version),
      rows: rows.map(({ json }) => tableRow(present(json, served), version, include)),
    };
    return JSON.stringify(table);
  }
  const [kind, apiVersion] =
    form.as === 'Metadata' ? ['PartialObjectMetadataList', 'meta.k8s.io/v1'] : [type.listKind, apiVersionOf(type.group, version.name)];
  const head = JSON.stringify({ kind, apiVersion, metadata });
  return `${head.slice(0, -1)},"items":[${rows.map(({ json }) => representText(json, form, served)).join(',')}]}`;
}
