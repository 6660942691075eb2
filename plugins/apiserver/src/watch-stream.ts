import { randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Exchange } from './exchange.ts';
import { type Reading, type Scope, scopeOf, selectRows } from './list.ts';
import type { JsonObject } from './object.ts';
import { parse } from './objects.ts';
import type { Served } from './registry/registry.ts';
import { apiVersionOf } from './registry/resource-type.ts';
import { chooseForm, type Form, formName, representText } from './representation.ts';
import { count, flag, type ResourceRequest } from './request.ts';
import { ApiError, badRequest } from './status.ts';
import type { Change } from './store.ts';
import { SharedChange, type Subscriber } from './watch.ts';

/** Time between bookmarks, in ms; what kube-apiserver uses. */
const BOOKMARK_INTERVAL_MS = 60_000;

/** A watcher that is this far behind is cut off; it comes back and reads from the history. */
const BACKLOG_LIMIT_BYTES = 32 * 1024 * 1024;

interface WatchOptions {
  readonly form: Form;
  readonly scope: Scope;
  /** Undefined and 0: the objects there are first, then what changes. */
  readonly since: number | undefined;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutMs: number;
}

/** Answers a watch and stays with it until the client goes, its time is over or the server closes. */
export function watch(served: Served, request: ResourceRequest, given: { exchange: Exchange; reading: Reading }): void {
  const { exchange, reading } = given;
  const options = readOptions(served, request, reading);
  const { response } = exchange;
  const stream = new WatchStream(served, options, response);
  const replay = options.since ? reading.history.after(options.scope.resource, options.since) : undefined;
  const isUnknown = options.since !== undefined && options.since !== 0 && (replay === undefined || options.since > reading.store.revision);
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' });
  response.flushHeaders();
  if (isUnknown) {
    stream.fail(options.since!, reading.store.revision);
    return;
  }
  if (replay) for (const change of replay) stream.changed(new SharedChange(change));
  else stream.initial(reading);
  keepOpen(stream, { exchange, reading, options });
}

function keepOpen(stream: WatchStream, given: { exchange: Exchange; reading: Reading; options: WatchOptions }): void {
  const { exchange, reading, options } = given;
  const unsubscribe = reading.history.subscribe(options.scope.resource, stream);
  const bookmarks = options.bookmarks ? setInterval(() => stream.bookmark(reading.store.revision), BOOKMARK_INTERVAL_MS) : undefined;
  const { closing, response } = exchange;
  const end = () => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(timeout);
    closing.removeEventListener('abort', end);
    if (options.bookmarks) stream.bookmark(reading.store.revision);
    response.end();
  };
  const timeout = setTimeout(end, options.timeoutMs);
  response.on('close', end);
  closing.addEventListener('abort', end);
  if (closing.aborted || response.destroyed) end();
}

function readOptions(served: Served, request: ResourceRequest, { accept }: Reading): WatchOptions {
  const { query } = request;
  const seconds = count(query, 'timeoutSeconds');
  const sendInitialEvents = query.has('sendInitialEvents') ? flag(query, 'sendInitialEvents') : undefined;
  const bookmarks = flag(query, 'allowWatchBookmarks');
  if (sendInitialEvents && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw badRequest('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  const given = count(query, 'resourceVersion');
  return {
    form: chooseForm(accept, query),
    scope: scopeOf(request, served.type),
    // With initial events the objects themselves come, whatever the client has seen.
    since: sendInitialEvents ? undefined : given,
    bookmarks,
    sendInitialEvents,
    // Without a wish, watches end at different times, so that clients do not all come back at once.
    timeoutMs: (seconds || randomInt(1800, 3600)) * 1000,
  };
}

class WatchStream implements Subscriber {
  readonly #served: Served;
  readonly #options: WatchOptions;
  readonly #response: ServerResponse;
  readonly #form: string;
  /** Changes up to here were shown by the objects themselves. */
  #shown = 0;

  constructor(served: Served, options: WatchOptions, response: ServerResponse) {
    this.#served = served;
    this.#options = options;
    this.#response = response;
    this.#form = formName(options.form, served);
  }

  /** Sends the objects there are as ADDED, and the bookmark that says so when it was asked for. */
  initial({ store }: Reading): void {
    this.#shown = store.revision;
    if (this.#options.sendInitialEvents === false) return;
    for (const { json } of selectRows(store, this.#options.scope)) this.#write(this.#line('ADDED', json));
    if (this.#options.sendInitialEvents && this.#options.bookmarks) this.bookmark(store.revision, { 'k8s.io/initial-events-end': 'true' });
  }

  changed(shared: SharedChange): void {
    const { change } = shared;
    const { scope } = this.#options;
    if (change.revision <= this.#shown) return;
    if (scope.namespace !== undefined && scope.namespace !== change.namespace) return;
    if (scope.name !== undefined && scope.name !== change.name) return;
    const type = scope.matches ? typeInScope(change, scope.matches) : change.type;
    if (type === undefined) return;
    const line = shared.form(`${this.#form} ${type}`, () => this.#line(type, change.json));
    if (line) this.#write(line);
  }

  bookmark(revision: number, annotations?: Record<string, string>): void {
    const { type, version } = this.#served;
    const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...(annotations ? { annotations } : {}) };
    const object: JsonObject = { kind: type.kind, apiVersion: apiVersionOf(type.group, version.name), metadata };
    const { form } = this.#options;
    const shown: JsonObject =
      form.as === 'Object'
        ? object
        : form.as === 'Metadata'
          ? { ...object, kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' }
          : {
              kind: 'Table',
              apiVersion: 'meta.k8s.io/v1',
              metadata: { resourceVersion: String(revision) },
              columnDefinitions: null,
              rows: [{ cells: [], object }],
            };
    this.#write(Buffer.from(`${JSON.stringify({ type: 'BOOKMARK', object: shown })}\n`));
  }

  /** Says that the wanted revision is not known any more (or yet) and ends. */
  fail(wanted: number, current: number): void {
    const status = new ApiError({ code: 410, reason: 'Expired', message: `too old resource version: ${wanted} (${current})` }).toStatus();
    this.#response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
  }

  #line(type: Change['type'], json: string): Buffer {
    return Buffer.from(`{"type":"${type}","object":${representText(json, this.#options.form, this.#served)}}\n`);
  }

  #write(line: Buffer): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    this.#response.write(line);
    if (this.#response.writableLength > BACKLOG_LIMIT_BYTES) this.#response.destroy();
  }
}

/** What a change is to somebody who sees only objects that match: an object may come into view and leave it. */
function typeInScope(change: Change, matches: NonNullable<Scope['matches']>): Change['type'] | undefined {
  const before = change.previous !== undefined && matches(parse(change.previous));
  if (change.type === 'DELETED') return before ? 'DELETED' : undefined;
  const now = matches(parse(change.json));
  if (now) return before ? 'MODIFIED' : 'ADDED';
  return before ? 'DELETED' : undefined;
}
