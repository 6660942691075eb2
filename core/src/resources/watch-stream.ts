import type { KubeObject } from './kinds.ts';

/** One event of a watch, as the API sends it. */
export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'put' | 'removed'; readonly object: T }
  | { readonly type: 'bookmark'; readonly version: string }
  | { readonly type: 'error'; readonly status: number; readonly reason: string };

/** Far above what etcd stores in one object; a line beyond it is no event. */
const MAX_LINE_CHARACTERS = 32 * 1024 * 1024;

/** Bytes as lines of text, without their ends; a last line that was cut off is dropped. Throws on a line without end. */
export async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', start)) {
      yield rest.slice(start, end);
      start = end + 1;
    }
    rest = rest.slice(start);
    if (rest.length > MAX_LINE_CHARACTERS) throw new Error(`a line of the watch is longer than ${MAX_LINE_CHARACTERS} characters`);
  }
}

const TYPES: Readonly<Record<string, 'put' | 'removed'>> = { ADDED: 'put', MODIFIED: 'put', DELETED: 'removed' };

/** Reads one line of a watch; undefined when it is no event of the protocol. */
export function parseWatchEvent<T extends KubeObject>(line: string): WatchEvent<T> | undefined {
  const event = parse(line);
  const object = isMap(event) ? event['object'] : undefined;
  if (!isMap(event) || !isMap(object)) return undefined;
  const kind = String(event['type']);
  if (kind === 'ERROR') return { type: 'error', status: Number(object['code']) || 500, reason: textOf(object['message'] ?? object['reason']) };
  if (kind === 'BOOKMARK') {
    const version = versionOf(object);
    return version === undefined ? undefined : { type: 'bookmark', version };
  }
  const type = TYPES[kind];
  return type && isObject<T>(object) ? { type, object } : undefined;
}

/** Whether a JSON value has what we need of any object: a name and a version. */
export function isObject<T extends KubeObject>(value: unknown): value is T {
  return isMap(value) && isMap(value['metadata']) && typeof value['metadata']['name'] === 'string' && versionOf(value) !== undefined;
}

function versionOf(object: Readonly<Record<string, unknown>>): string | undefined {
  const metadata = object['metadata'];
  const version = isMap(metadata) ? metadata['resourceVersion'] : undefined;
  return typeof version === 'string' && version !== '' ? version : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : 'unknown';
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
