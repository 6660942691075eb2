import { apply, readApplied } from './apply.ts';
import { decodeObject, mediaType, parseJson, parseYaml, readBody } from './body.ts';
import type { Answer, Exchange } from './exchange.ts';
import type { GarbageCollector } from './garbage-collector.ts';
import { listAnswer, type Reading, scopeOf, selectRows } from './list.ts';
import { type ApiObject, isJsonObject, type JsonObject } from './object.ts';
import { type Deletion, isIn, keyOf, type Objects, type Update } from './objects.ts';
import { applyJsonPatch, mergePatch } from './patch.ts';
import { METADATA_SCHEMA } from './registry/metadata.ts';
import type { ReviewType } from './registry/built-in.ts';
import type { Served, TypeRegistry } from './registry/registry.ts';
import { apiVersionOf } from './registry/resource-type.ts';
import { chooseForm, listText, represent, representText } from './representation.ts';
import { flag, parseResourcePath, type ResourceRequest, writeOptions } from './request.ts';
import type { Schema } from './schema/schema.ts';
import { badRequest, deleted, methodNotAllowed, notFound, unknownPath, unsupportedMediaType } from './status.ts';
import type { Store } from './store.ts';
import { strategicMerge } from './strategic-merge.ts';
import type { WatchHistory } from './watch.ts';
import { watch } from './watch-stream.ts';

/** What requests for resources work on. */
export interface Backend {
  readonly store: Store;
  readonly history: WatchHistory;
  readonly objects: Objects;
  readonly types: TypeRegistry;
  readonly reviews: readonly ReviewType[];
  readonly collector: GarbageCollector;
}

interface Call {
  readonly backend: Backend;
  readonly exchange: Exchange;
  readonly target: ResourceRequest;
  readonly served: Served;
}

/** Answers requests below `/api/v1` and `/apis/<group>/<version>`; undefined for other paths. */
export async function handleResource(backend: Backend, exchange: Exchange): Promise<{ answer: Answer | undefined } | undefined> {
  const target = parseResourcePath(exchange.path, exchange.query);
  if (!target) return undefined;
  const review = backend.reviews.find((one) => one.group === target.group && one.plural === target.resource && target.version === 'v1');
  if (review) return { answer: await answerReview(review, exchange) };
  const served = backend.types.find(target.group, target.version, target.resource);
  if (target.namespace !== '' && !served.type.namespaced) throw unknownPath();
  const call = { backend, exchange, target, served };
  await backend.store.committed();
  const answer = await dispatch(call);
  // A read shows only what is committed, a write is acknowledged only when it is on the disk.
  await (exchange.request.method === 'GET' ? backend.store.committed() : backend.store.durable());
  return { answer };
}

function dispatch(call: Call): Promise<Answer | undefined> | Answer | undefined {
  const { name, subresource } = call.target;
  const { method } = call.exchange.request;
  if (subresource !== undefined) checkSubresource(call.served, subresource);
  if (method === 'GET') return name === undefined || flag(call.exchange.query, 'watch') ? collection(call) : read(call, name);
  if (method === 'PUT' && name !== undefined) return replace(call, name);
  if (method === 'PATCH' && name !== undefined) return patch(call, name);
  if (method === 'POST' && name === undefined) return create(call);
  if (method === 'DELETE' && subresource === undefined) return name === undefined ? removeCollection(call) : remove(call, name);
  throw methodNotAllowed();
}

function checkSubresource({ type, version }: Served, subresource: string): void {
  const known = (subresource === 'status' && version.hasStatus) || (subresource === 'finalize' && type.plural === 'namespaces' && type.group === '');
  if (!known) throw unknownPath();
}

function readingOf({ backend, exchange }: Call): Reading {
  return { store: backend.store, history: backend.history, accept: exchange.request.headers.accept };
}

function collection(call: Call): Answer | undefined {
  const { served, target, exchange } = call;
  if (!flag(exchange.query, 'watch')) return listAnswer(served, target, readingOf(call));
  watch(served, target, { exchange, reading: readingOf(call) });
  return undefined;
}

function read({ backend, exchange, served, target }: Call, name: string): Answer {
  const form = chooseForm(exchange.request.headers.accept, exchange.query);
  const json = backend.objects.json(served, { namespace: target.namespace, name });
  return { code: 200, body: { text: `${representText(json, form, served)}\n` } };
}

interface Shown {
  readonly code: number;
  readonly object: ApiObject;
  /** The same as it is stored. */
  readonly json?: string;
  readonly warnings?: readonly string[];
}

function shown({ exchange, served }: Call, { code, object, json, warnings }: Shown): Answer {
  const form = chooseForm(exchange.request.headers.accept, exchange.query);
  const isSame = json !== undefined && form.as === 'Object' && isIn(json, served);
  return { code, body: isSame ? { text: `${json}\n` } : represent(object, form, served), ...(warnings ? { warnings } : {}) };
}

async function create(call: Call): Promise<Answer> {
  const { exchange, served, target } = call;
  const options = writeOptions(exchange.query, exchange.request.headers['user-agent'] ?? '');
  const sent = decodeObject(await readBody(exchange.request), exchange.request.headers['content-type']);
  const namespace = namespaceOf(target, served);
  return shown(call, { code: 201, ...call.backend.objects.create(served, { namespace, sent, options }) });
}

function namespaceOf({ namespace }: ResourceRequest, { type }: Served): string {
  if (type.namespaced && namespace === '') throw methodNotAllowed();
  return namespace;
}

async function replace(call: Call, name: string): Promise<Answer> {
  const { exchange } = call;
  const sent = decodeObject(await readBody(exchange.request), exchange.request.headers['content-type']);
  const metadata = isJsonObject(sent['metadata']) ? sent['metadata'] : {};
  if (!metadata['name']) throw badRequest('the name of the object must be given in metadata.name');
  return shown(call, {
    code: 200,
    ...call.backend.objects.update(
      call.served,
      updateOf(call, name, () => sent),
    ),
  });
}

function updateOf({ exchange, target }: Call, name: string, edit: Update['edit']): Update {
  const options = writeOptions(exchange.query, exchange.request.headers['user-agent'] ?? '');
  return { namespace: target.namespace, name, subresource: target.subresource as Update['subresource'], options, edit };
}

const PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'];
const STRATEGIC = 'application/strategic-merge-patch+json';

async function patch(call: Call, name: string): Promise<Answer> {
  const { exchange, served } = call;
  const type = mediaType(exchange.request.headers['content-type']);
  const body = await readBody(exchange.request);
  if (type === 'application/apply-patch+yaml') return applyPatch(call, name, body);
  const accepted = served.type.origin === 'built-in' ? [...PATCH_TYPES, STRATEGIC] : PATCH_TYPES;
  if (!accepted.includes(type)) throw unsupportedMediaType(accepted);
  const edit = patchEdit(served, { type, sent: parseJson(body) });
  return shown(call, { code: 200, ...call.backend.objects.update(served, updateOf(call, name, edit)) });
}

function patchEdit({ version }: Served, { type, sent }: { type: string; sent: unknown }): Update['edit'] {
  if (type === 'application/json-patch+json') return (current) => applyJsonPatch(current, sent);
  if (!isJsonObject(sent)) throw badRequest('error decoding patch: a merge patch is an object');
  if (type === STRATEGIC) return (current) => strategicMerge(current, sent, withMetadata(version.schema));
  return (current) => mergePatch(current, sent) as JsonObject;
}

function withMetadata(schema: Schema | undefined): Schema {
  return { ...schema, properties: { ...schema?.properties, metadata: METADATA_SCHEMA } };
}

// Server-side apply: the object is made when it is not there.
function applyPatch(call: Call, name: string, body: Buffer): Answer {
  const { exchange, served, target, backend } = call;
  const manager = exchange.query.get('fieldManager');
  const sent = readApplied(parseYaml(body), manager);
  const force = flag(exchange.query, 'force');
  const applier = {
    manager: manager ?? '',
    apiVersion: apiVersionOf(served.type.group, served.version.name),
    subresource: target.subresource,
    force,
  };
  const rules = { schema: withMetadata(served.version.schema), applier };
  const update = updateOf(call, name, (current) => apply(current, sent, rules));
  if (backend.store.get(keyOf(served.type, update)))
    return shown(call, { code: 200, ...backend.objects.update(served, { ...update, ownsFields: true }) });
  if (target.subresource !== undefined) throw notFound(served.type, name);
  const metadata = { ...(isJsonObject(sent['metadata']) ? sent['metadata'] : {}), name };
  const created = apply(undefined, { ...sent, metadata }, rules);
  return shown(call, {
    code: 201,
    ...backend.objects.create(served, { namespace: namespaceOf(target, served), sent: created, options: update.options, ownsFields: true }),
  });
}

async function remove(call: Call, name: string): Promise<Answer> {
  const options = await deleteOptions(call);
  const { namespace } = call.target;
  const { pending, last } = call.backend.objects.delete(call.served, { namespace, name, ...options });
  if (pending) return shown(call, { code: 200, object: pending });
  return { code: 200, body: deleted(call.served.type, name, last.metadata.uid) };
}

async function removeCollection(call: Call): Promise<Answer> {
  const { served, target, backend } = call;
  const options = await deleteOptions(call);
  const rows = selectRows(backend.store, scopeOf(target, served.type));
  for (const { namespace, name } of rows) backend.objects.delete(served, { namespace, name, ...options });
  const body = listText(rows, { resourceVersion: String(backend.store.revision) }, { form: { as: 'Object' }, served });
  return { code: 200, body: { text: body } };
}

const PROPAGATIONS = ['Background', 'Foreground', 'Orphan'] as const;

// DeleteOptions come in the body, some of them also in the query.
async function deleteOptions({ exchange }: Call): Promise<Omit<Deletion, 'namespace' | 'name'>> {
  const { request, query } = exchange;
  const body = await readBody(request);
  const sent = body.length > 0 ? decodeObject(body, request.headers['content-type']) : {};
  const named = sent['propagationPolicy'] ?? query.get('propagationPolicy') ?? undefined;
  const propagation = PROPAGATIONS.find((one) => one === named);
  if (named !== undefined && named !== '' && propagation === undefined) {
    throw badRequest(`propagationPolicy: Unsupported value: ${JSON.stringify(named)}: supported values: "Orphan", "Background", "Foreground"`);
  }
  const orphan = sent['orphanDependents'] ?? (query.has('orphanDependents') ? flag(query, 'orphanDependents') : undefined);
  const preconditions = isJsonObject(sent['preconditions']) ? sent['preconditions'] : {};
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  const dryRun = Array.isArray(sent['dryRun']) ? sent['dryRun'].includes('All') : query.getAll('dryRun').includes('All');
  return {
    dryRun,
    propagation: propagation ?? (orphan === true ? 'Orphan' : undefined),
    uid: text(preconditions['uid']),
    resourceVersion: text(preconditions['resourceVersion']),
  };
}

async function answerReview(review: ReviewType, exchange: Exchange): Promise<Answer> {
  if (exchange.request.method !== 'POST') throw methodNotAllowed();
  const sent = decodeObject(await readBody(exchange.request), exchange.request.headers['content-type']);
  const head = { kind: review.kind, apiVersion: apiVersionOf(review.group, 'v1'), metadata: { creationTimestamp: null } };
  return { code: 201, body: { ...head, ...(sent['spec'] === undefined ? {} : { spec: sent['spec'] }), status: review.answer(sent) } };
}
