import type { IncomingMessage } from 'node:http';
import { load } from 'js-yaml';
import { isJsonObject, type JsonObject } from './object.ts';
import { decodeProtobuf } from './protobuf.ts';
import { badRequest, tooLarge, unsupportedMediaType } from './status.ts';

/** Largest request body, in bytes; what etcd and kube-apiserver allow. */
export const BODY_LIMIT_BYTES = 3 * 1024 * 1024;

/** Reads the whole body; a Status 413 when it is over the limit. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_LIMIT_BYTES) throw tooLarge(BODY_LIMIT_BYTES);
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > BODY_LIMIT_BYTES) throw tooLarge(BODY_LIMIT_BYTES);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, sizeBytes);
}

/** The media type of a header, without parameters. */
export function mediaType(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

const OBJECT_TYPES = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

/** Reads an object in any of the notations clients send; a missing content type counts as JSON. */
export function decodeObject(body: Buffer, contentType: string | undefined): JsonObject {
  const type = mediaType(contentType);
  if (type === '' || type === 'application/json' || type === '*/*') return objectOf(parseJson(body));
  if (type === 'application/yaml') return objectOf(parseYaml(body));
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body);
  throw unsupportedMediaType(OBJECT_TYPES);
}

/** JSON in UTF-8. Keys named `__proto__` are dropped: no schema knows them, and they are dangerous to copy. */
export function parseJson(body: Buffer): unknown {
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badRequest(`the body of the request is not valid JSON: ${(error as Error).message}`);
  }
  return /__proto__|\\u005f/i.test(text) ? withoutProto(value) : value;
}

/** YAML 1.2 with JSON's types; also reads JSON. */
export function parseYaml(body: Buffer): unknown {
  try {
    // A pass through JSON turns dates and aliases into plain values of their own.
    return withoutProto(JSON.parse(JSON.stringify(load(body.toString('utf8')) ?? null)));
  } catch (error) {
    throw badRequest(`the body of the request is not valid YAML: ${(error as Error).message.split('\n', 1)[0]}`);
  }
}

function withoutProto(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutProto);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, item]) => (key === '__proto__' ? [] : [[key, withoutProto(item)]])));
}

function objectOf(value: unknown): JsonObject {
  if (!isJsonObject(value)) throw badRequest('the body of the request is not an object');
  return value;
}
