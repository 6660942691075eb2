import type { Answer } from './exchange.ts';
import type { ApiObject, JsonObject } from './object.ts';
import { parse } from './objects.ts';
import type { Served } from './registry/registry.ts';
import { type ResourceType, storeName } from './registry/resource-type.ts';
import { chooseForm, listText } from './representation.ts';
import { count, type ResourceRequest } from './request.ts';
import { type FieldSelector, fieldSelector, labelSelector, type Selector } from './selectors.ts';
import { ApiError, badRequest, expired } from './status.ts';
import type { Row, Store } from './store.ts';
import type { WatchHistory } from './watch.ts';

/** What a list or a watch is about. */
export interface Scope {
  readonly resource: string;
  /** Undefined for all namespaces. */
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  /** Undefined when every object in the scope is wanted. */
  readonly matches: ((object: ApiObject) => boolean) | undefined;
}

/** Reads namespace and selectors of a request. @throws a Status 400. */
export function scopeOf({ namespace, query, name }: ResourceRequest, type: ResourceType): Scope {
  const fields = fieldSelector(query.get('fieldSelector'), new Set(['metadata.name', 'metadata.namespace', ...Object.keys(type.fields)]));
  const labels = labelSelector(query.get('labelSelector'));
  const inNamespace = type.namespaced && namespace !== '' ? namespace : undefined;
  return {
    resource: storeName(type),
    namespace: inNamespace ?? (type.namespaced ? fields?.namespace : undefined),
    name: name ?? fields?.name,
    matches: fields || labels ? matcher(type, labels, fields) : undefined,
  };
}

function matcher(type: ResourceType, labels: Selector | undefined, fields: FieldSelector | undefined) {
  return (object: ApiObject) => {
    if (labels && !labels(object.metadata.labels ?? {})) return false;
    if (!fields) return true;
    const values: Record<string, string | undefined> = { 'metadata.name': object.metadata.name, 'metadata.namespace': object.metadata.namespace };
    for (const [field, read] of Object.entries(type.fields)) values[field] = read(object);
    return fields.matches(values);
  };
}

/** The rows in a scope, selectors applied. */
export function selectRows(store: Store, scope: Scope): Row[] {
  const rows = store.list(scope.resource, { namespace: scope.namespace, name: scope.name });
  return scope.matches ? rows.filter(({ json }) => scope.matches!(parse(json))) : rows;
}

/** What reading works with. */
export interface Reading {
  readonly store: Store;
  readonly history: WatchHistory;
  /** The Accept header. */
  readonly accept: string | undefined;
}

interface Page {
  readonly rows: readonly Row[];
  readonly metadata: JsonObject;
}

/**
 * Answers a list. A `continue` token goes on behind the last row it gave, under the first page's revision: what has changed
 * since is told by a watch from that revision, and once that is no longer possible the token is refused with 410.
 */
export function listAnswer(served: Served, request: ResourceRequest, { store, history, accept }: Reading): Answer {
  const { query } = request;
  const form = chooseForm(accept, query);
  const scope = scopeOf(request, served.type);
  checkRevision(query, { scope, revision: store.revision, history });
  const { rows, metadata } = readPage(store, scope, { query, history });
  return { code: 200, body: { text: `${listText(rows, metadata, { form, served })}\n` } };
}

interface Token {
  readonly revision: number;
  readonly namespace: string;
  readonly name: string;
}

function readPage(store: Store, scope: Scope, { query, history }: { query: URLSearchParams; history: WatchHistory }): Page {
  const limit = count(query, 'limit') || undefined;
  const token = readToken(query.get('continue'));
  if (token && !history.reaches(scope.resource, token.revision)) {
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
    );
  }
  const revision = token?.revision ?? store.revision;
  const all = scope.matches === undefined ? undefined : selectRows(store, scope).filter((row) => !token || isAfter(row, token));
  const rows = all ?? store.list(scope.resource, { namespace: scope.namespace, name: scope.name, after: token, limit: limit && limit + 1 });
  if (limit === undefined || rows.length <= limit) return { rows, metadata: { resourceVersion: String(revision) } };
  const page = rows.slice(0, limit);
  const last = page.at(-1)!;
  const next = writeToken({ revision, namespace: last.namespace, name: last.name });
  const left = scope.matches ? undefined : store.count(scope.resource, { namespace: scope.namespace, name: scope.name, after: last });
  return { rows: page, metadata: { resourceVersion: String(revision), continue: next, ...(left === undefined ? {} : { remainingItemCount: left }) } };
}

const isAfter = (row: Row, token: Token) => row.namespace > token.namespace || (row.namespace === token.namespace && row.name > token.name);

function writeToken(token: Token): string {
  return Buffer.from(JSON.stringify([token.revision, token.namespace, token.name])).toString('base64url');
}

function readToken(text: string | null): Token | undefined {
  if (!text) return undefined;
  try {
    const [revision, namespace, name] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as unknown[];
    if (Number.isSafeInteger(revision) && typeof namespace === 'string' && typeof name === 'string')
      return { revision: revision as number, namespace, name };
  } catch {
    // Falls through to the refusal.
  }
  throw badRequest('continue key is not valid: it was not made by this server');
}

// `resourceVersion` of a list: a minimum, or with `Exact` the very one. We only have the newest state.
function checkRevision(query: URLSearchParams, { scope, revision, history }: { scope: Scope; revision: number; history: WatchHistory }): void {
  const wanted = count(query, 'resourceVersion');
  const match = query.get('resourceVersionMatch');
  if (match && match !== 'Exact' && match !== 'NotOlderThan') {
    throw badRequest(`resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan"`);
  }
  if (match && wanted === undefined) throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided');
  if (wanted === undefined || wanted === 0) return;
  if (wanted > revision) throw tooLargeRevision(wanted, revision);
  if (match !== 'Exact' || wanted === revision) return;
  if (history.after(scope.resource, wanted)?.length !== 0) throw expired('The resourceVersion for the provided list is too old.');
}

function tooLargeRevision(wanted: number, revision: number): ApiError {
  return new ApiError({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: Too large resource version: ${wanted}, current: ${revision}`,
    details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], retryAfterSeconds: 1 },
  });
}
