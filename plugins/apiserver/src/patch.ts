import jsonPatch, { type Operation } from 'fast-json-patch';
import { copyJson } from '@sidero/core';
import { isJsonObject, type JsonObject } from './object.ts';
import { ApiError, badRequest } from './status.ts';

/** A JSON merge patch (RFC 7396): a new value, `target` stays as it is. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return copyJson(patch);
  const result: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** Most operations one JSON patch may hold, as kube-apiserver limits it. */
const MAX_OPERATIONS = 10_000;

/** A JSON patch (RFC 6902) applied to a copy. @throws a Status: 400 malformed, 422 not applicable, 413 too many operations. */
export function applyJsonPatch(target: JsonObject, patch: unknown): JsonObject {
  if (!Array.isArray(patch) || !patch.every((one) => isJsonObject(one) && typeof one['op'] === 'string' && typeof one['path'] === 'string')) {
    throw badRequest('error decoding patch: a JSON patch is a list of operations with op and path');
  }
  if (patch.length > MAX_OPERATIONS) {
    throw new ApiError({
      code: 413,
      reason: 'RequestEntityTooLarge',
      message: `Request entity too large: The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`,
    });
  }
  try {
    const { newDocument } = jsonPatch.applyPatch(copyJson(target), patch as Operation[], true, true, true);
    if (!isJsonObject(newDocument)) throw new TypeError('the result is not an object');
    return newDocument;
  } catch (error) {
    const message = (error as Error).message.split('\n', 1)[0] ?? '';
    throw new ApiError({
      code: 422,
      reason: 'Invalid',
      message: `the server rejected our request due to an error in our request: ${message}`,
      details: {},
    });
  }
}
