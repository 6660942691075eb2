import { failure } from '../errors.ts';
import type { Filter } from './client.ts';
import type { Kind, KubeObject, Ref } from './kinds.ts';
import { type KubeAnswer, type KubeCall, type KubeTransport, refused, statusReason } from './kube-transport.ts';
import { isObject } from './watch-stream.ts';

const PAGE_SIZE = 500;
/** Stands for the name where a call is about a whole kind. */
const ALL = '(all)';

/** All objects of a kind at one moment. */
export interface Listing<T extends KubeObject> {
  readonly version: string | undefined;
  readonly objects: readonly T[];
}

/** What a conditional write came to. */
export type Written<T> = { readonly object: T } | 'conflict' | 'missing';

export interface ListOptions {
  readonly signal?: AbortSignal;
  /** Of each object only this. */
  readonly part?: 'metadata';
}

/** How the API is asked for that. */
const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';

export interface WatchOptions {
  readonly version: string;
  readonly timeoutSeconds: number;
  /** Closes the stream. */
  readonly signal: AbortSignal;
}

type Connect = (verb: KubeCall['verb'], kind: string) => Promise<KubeTransport>;
type Call = Omit<KubeCall, 'kind' | 'name'> & { readonly name?: string };

/** The verbs of the Kubernetes API on one kind, without cache. Errors are SIDERO_RESOURCE_FAILED and SIDERO_RESOURCE_UNREACHABLE. */
export class KindApi<T extends KubeObject> {
  readonly #kind: Kind<T>;
  readonly #connect: Connect;
  readonly #by: string;

  /** @param manager name under which the API notes our writes. */
  constructor(kind: Kind<T>, manager: string, connect: Connect) {
    this.#kind = kind;
    this.#connect = connect;
    this.#by = `fieldManager=${encodeURIComponent(manager)}`;
  }

  async get(ref: Ref): Promise<T | undefined> {
    const { call, answer } = await this.#call({ method: 'GET', verb: 'get', name: ref.name, path: objectPath(this.#kind, ref) });
    return isAbsent(answer) ? undefined : this.#object(call, answer);
  }

  async list(filter: Filter = {}, { signal, part }: ListOptions = {}): Promise<Listing<T>> {
    const path = `${collectionPath(this.#kind, filter, 'list')}?${filter.labels ? `labelSelector=${encodeURIComponent(filter.labels)}&` : ''}`;
    const more = { ...(signal ? { signal } : {}), ...(part ? { accept: METADATA_LIST } : {}) };
    const objects: T[] = [];
    for (let query = `limit=${PAGE_SIZE}`; ; ) {
      const { call, answer } = await this.#call({ method: 'GET', verb: 'list', path: path + query, ...more });
      if (answer.status === 410 && objects.length > 0) {
        // The snapshot that the pages come from was compacted away meanwhile: all in one then.
        objects.length = 0;
        query = '';
        continue;
      }
      const { items, version, next } = pageOf<T>(call, answer);
      for (const item of items) objects.push(tidy(this.#kind, item));
      if (next === '') return { version, objects };
      query = `limit=${PAGE_SIZE}&continue=${encodeURIComponent(next)}`;
    }
  }

  async create(object: T): Promise<T | 'exists'> {
    const { apiVersion, kind } = this.#kind;
    const path = `${collectionPath(this.#kind, object.metadata, 'create')}?${this.#by}`;
    const body = { type: 'application/json', json: { ...object, apiVersion, kind } } as const;
    const { call, answer } = await this.#call({ method: 'POST', verb: 'create', name: object.metadata.name, path, body });
    return answer.status === 409 && statusReason(answer) === 'AlreadyExists' ? 'exists' : this.#object(call, answer);
  }

  /** Posts what the API answers and does not keep. */
  async review(object: Omit<T, 'metadata'>): Promise<T> {
    const { apiVersion, kind } = this.#kind;
    const body = { type: 'application/json', json: { ...object, apiVersion, kind } } as const;
    const { call, answer } = await this.#call({ method: 'POST', verb: 'create', path: collectionPath(this.#kind, {}, 'create'), body });
    if (answer.status >= 300 || typeof answer.body !== 'object') throw refused(call, answer);
    return answer.body as T;
  }

  /** A JSON merge patch of the object, or of its status. */
  async patch(ref: Ref, patch: unknown, part?: 'status'): Promise<Written<T>> {
    const path = `${objectPath(this.#kind, ref)}${part ? `/${part}` : ''}?${this.#by}`;
    const body = { type: 'application/merge-patch+json', json: patch } as const;
    const { call, answer } = await this.#call({ method: 'PATCH', verb: 'patch', name: ref.name, path, body });
    if (answer.status === 409) return 'conflict';
    return isAbsent(answer) ? 'missing' : { object: this.#object(call, answer) };
  }

  /** Gives the uid of an object that is gone for good; undefined when it waits for its finalizers, or was not there. */
  async remove(ref: Ref): Promise<string | undefined> {
    const { call, answer } = await this.#call({ method: 'DELETE', verb: 'delete', name: ref.name, path: objectPath(this.#kind, ref) });
    if (isAbsent(answer)) return undefined;
    if (answer.status >= 300) throw refused(call, answer);
    return goneUid(answer.body);
  }

  /** The bytes of a watch, which the server ends after `timeoutSeconds`; or its answer when it refused. */
  async watch(options: WatchOptions): Promise<KubeAnswer | AsyncIterable<Uint8Array>> {
    const { version, timeoutSeconds, signal } = options;
    const query = `watch=1&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(version)}&timeoutSeconds=${timeoutSeconds}`;
    const path = `${collectionPath(this.#kind, {}, 'watch')}?${query}`;
    const transport = await this.#connect('watch', this.#kind.kind);
    return transport.open({ method: 'GET', verb: 'watch', kind: this.#kind.kind, name: ALL, path, signal });
  }

  async #call(given: Call): Promise<{ readonly call: KubeCall; readonly answer: KubeAnswer }> {
    const call = { name: ALL, ...given, kind: this.#kind.kind };
    const transport = await this.#connect(call.verb, call.kind);
    return { call, answer: await transport.call(call) };
  }

  #object(call: KubeCall, answer: KubeAnswer): T {
    if (answer.status >= 300) throw refused(call, answer);
    if (!isObject<T>(answer.body)) throw refused(call, { status: answer.status, body: 'the answer is no object of Kubernetes' });
    return tidy(this.#kind, answer.body);
  }
}

// A 404 that names the object. One that does not is about the kind, or comes from something before the API, and says
// nothing about objects: nobody may conclude from it that one is gone.
function isAbsent(answer: KubeAnswer): boolean {
  const { details } = (typeof answer.body === 'object' && answer.body !== null ? answer.body : {}) as { details?: { name?: string } };
  return answer.status === 404 && statusReason(answer) === 'NotFound' && details?.name !== undefined;
}

// A Status means that the object is gone; anything else is the object, waiting for its finalizers.
function goneUid(body: unknown): string | undefined {
  const status = body as { kind?: string; details?: { uid?: string } } | undefined;
  return status?.kind === 'Status' ? status.details?.uid : undefined;
}

/** `namespace` undefined: in all namespaces. Creating needs one for a namespaced kind. */
function collectionPath(kind: Kind<KubeObject>, { namespace }: { readonly namespace?: string }, verb: KubeCall['verb']): string {
  const root = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
  if (!kind.namespaced || (namespace === undefined && verb !== 'create')) return `${root}/${kind.plural}`;
  return `${root}/namespaces/${segment(kind, namespace ?? '', 'namespace')}/${kind.plural}`;
}

function objectPath(kind: Kind<KubeObject>, ref: Ref): string {
  const collection = collectionPath(kind, { namespace: ref.namespace ?? '' }, 'get');
  return `${collection}/${segment(kind, ref.name, 'name')}`;
}

// An empty name would turn the removal of one object into the removal of all.
function segment(kind: Kind<KubeObject>, text: string, what: 'name' | 'namespace'): string {
  if (text === '' || text === '.' || text === '..' || /[/%]/.test(text)) {
    throw failure('SIDERO_RESOURCE_FAILED', { verb: 'addressing', kind: kind.kind, name: text, status: 400, reason: `"${text}" is no ${what}` });
  }
  return encodeURIComponent(text);
}

/** Items of lists carry no kind, and nobody here reads who wrote which field: it is half of an object's size. */
export function tidy<T extends KubeObject>(kind: Kind<T>, object: T): T {
  object.apiVersion = kind.apiVersion;
  object.kind = kind.kind;
  delete (object.metadata as { managedFields?: unknown }).managedFields;
  return object;
}

function pageOf<T extends KubeObject>(call: KubeCall, answer: KubeAnswer) {
  if (answer.status >= 300) throw refused(call, answer);
  const { items, metadata } = (answer.body ?? {}) as { items?: unknown; metadata?: { resourceVersion?: string; continue?: string } };
  if (!Array.isArray(items) || !items.every((item) => isObject<T>(item))) {
    throw refused(call, { status: answer.status, body: 'the answer is no list of Kubernetes' });
  }
  return { items: items as readonly T[], version: metadata?.resourceVersion, next: metadata?.continue ?? '' };
}
