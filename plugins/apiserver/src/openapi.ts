import { createHash } from 'node:crypto';
import type { Answer, Exchange } from './exchange.ts';
import type { JsonObject } from './object.ts';
import { METADATA_SCHEMA } from './registry/metadata.ts';
import type { TypeRegistry } from './registry/registry.ts';
import { apiVersionOf, type ResourceType, type ResourceVersion } from './registry/resource-type.ts';
import { unknownPath } from './status.ts';

/** The documents of all groups and versions, made when first asked for and kept until what is served changes. */
export class OpenApi {
  readonly #types: TypeRegistry;
  #made: { generation: number; documents: Map<string, Document> } | undefined;

  constructor(types: TypeRegistry) {
    this.#types = types;
  }

  /** Answers `/openapi/v3` and what is below it; `/openapi/v2` does not exist here. */
  handle({ path, request }: Exchange): Answer | undefined {
    if (path === '/openapi/v2' || path.startsWith('/openapi/v2/')) throw unknownPath();
    if (path !== '/openapi/v3' && !path.startsWith('/openapi/v3/')) return undefined;
    if (request.method !== 'GET') return undefined;
    const documents = this.#documents();
    if (path === '/openapi/v3')
      return {
        code: 200,
        body: {
          paths: Object.fromEntries([...documents].map(([name, one]) => [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${one.hash}` }])),
        },
      };
    const found = documents.get(path.slice('/openapi/v3/'.length));
    if (!found) throw unknownPath();
    return { code: 200, body: { text: found.text }, headers: { Etag: `"${found.hash}"` } };
  }

  #documents(): Map<string, Document> {
    const { generation } = this.#types;
    if (this.#made?.generation === generation) return this.#made.documents;
    const contents = new Map<string, JsonObject>();
    for (const type of this.#types.list()) for (const version of type.versions) describe(contents, type, version);
    const documents = new Map([...contents].map(([name, content]) => [name, documentOf(content)]));
    this.#made = { generation, documents };
    return documents;
  }
}

interface Document {
  readonly text: string;
  readonly hash: string;
}

function documentOf(content: JsonObject): Document {
  const text = JSON.stringify(content);
  return { text, hash: createHash('sha256').update(text).digest('hex').slice(0, 32).toUpperCase() };
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

function describe(contents: Map<string, JsonObject>, type: ResourceType, version: ResourceVersion): void {
  const apiVersion = apiVersionOf(type.group, version.name);
  const name = `${type.group ? 'apis' : 'api'}/${apiVersion}`;
  const content = contents.get(name) ?? {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.35.4' },
    paths: {},
    components: { schemas: { [META]: METADATA_SCHEMA } },
  };
  contents.set(name, content);
  const schemaName = [...(type.group || 'core.api.k8s.io').split('.').toReversed(), version.name, type.kind].join('.');
  const { schemas } = content['components'] as { schemas: JsonObject };
  schemas[schemaName] = kindSchema(type, version);
  Object.assign(content['paths'] as JsonObject, pathsOf(type, { base: `/${name}`, version: version.name, schemaName }));
}

const gvkOf = (type: ResourceType, version: string) => ({ group: type.group, version, kind: type.kind });

function kindSchema(type: ResourceType, version: ResourceVersion): JsonObject {
  const schema = version.schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    ...schema,
    properties: {
      ...schema.properties,
      apiVersion: { type: 'string', description: 'Version of the schema this object follows.' },
      kind: { type: 'string', description: 'Kind of the object.' },
      metadata: { description: 'Standard metadata of an object.', allOf: [{ $ref: `#/components/schemas/${META}` }] },
    },
    'x-kubernetes-group-version-kind': [gvkOf(type, version.name)],
  };
}

const queryParameter = (name: string, type: string, description: string): JsonObject => ({
  name,
  in: 'query',
  description,
  schema: { type, uniqueItems: true },
});

const READ = [queryParameter('pretty', 'string', 'Pretty output; not used.')];
const WRITE = [
  queryParameter('dryRun', 'string', '"All": nothing is kept.'),
  queryParameter('fieldManager', 'string', 'Who writes.'),
  queryParameter('fieldValidation', 'string', 'What happens to unknown fields: Ignore, Warn or Strict.'),
];
const APPLY = [...WRITE, queryParameter('force', 'boolean', 'Takes fields that others have applied.')];
const LIST = [
  ...['labelSelector', 'fieldSelector', 'continue', 'resourceVersion', 'resourceVersionMatch'].map((name) =>
    queryParameter(name, 'string', 'As in every Kubernetes API.'),
  ),
  ...['limit', 'timeoutSeconds'].map((name) => queryParameter(name, 'integer', 'As in every Kubernetes API.')),
  ...['watch', 'allowWatchBookmarks', 'sendInitialEvents'].map((name) => queryParameter(name, 'boolean', 'As in every Kubernetes API.')),
];

const PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'];

function pathsOf(type: ResourceType, at: { base: string; version: string; schemaName: string }): JsonObject {
  const gvk = gvkOf(type, at.version);
  const content = { 'application/json': { schema: { $ref: `#/components/schemas/${at.schemaName}` } } };
  const responses = { 200: { description: 'OK', content } };
  const operation = (action: string, parameters: readonly JsonObject[], more: JsonObject = {}) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
    parameters,
    responses,
    ...more,
  });
  const patchTypes = type.origin === 'built-in' ? [...PATCH_TYPES, 'application/strategic-merge-patch+json'] : PATCH_TYPES;
  const patchBody = { content: Object.fromEntries(patchTypes.map((name) => [name, { schema: { type: 'object' } }])) };
  const collection = `${at.base}${type.namespaced ? '/namespaces/{namespace}' : ''}/${type.plural}`;
  const inPath = (name: string) => ({ name, in: 'path', required: true, schema: { type: 'string' } });
  const scope = type.namespaced ? [inPath('namespace')] : [];
  return {
    [collection]: { parameters: scope, get: operation('list', LIST), post: operation('post', WRITE, { requestBody: { content } }) },
    [`${collection}/{name}`]: {
      parameters: [...scope, inPath('name')],
      get: operation('get', READ),
      put: operation('put', WRITE, { requestBody: { content } }),
      patch: operation('patch', APPLY, { requestBody: patchBody }),
      delete: operation('delete', WRITE),
    },
  };
}
