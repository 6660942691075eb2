import type { JsonObject } from './object.ts';
import { badRequest } from './status.ts';

/** Placeholder until the message tables are in. */
export function decodeProtobuf(_body: Buffer): JsonObject {
  throw badRequest('protobuf is not read yet');
}
