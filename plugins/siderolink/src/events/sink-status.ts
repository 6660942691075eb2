import { status, type StatusObject, Metadata } from '@grpc/grpc-js';
import { SideroError } from '@sidero/core';

const UNAVAILABLE: ReadonlySet<string> = new Set(['SIDERO_RESOURCE_UNREACHABLE', 'SIDERO_RESOURCE_FAILED', 'SIDERO_CLUSTER_CLOSED']);

/** Why an event is not acknowledged; Talos sends it again. */
export class Refusal extends Error {
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** The answer to an event that was not handled. */
export function refusalOf(thrown: unknown): StatusObject {
  const metadata = new Metadata();
  if (thrown instanceof Refusal) return { code: thrown.code, details: thrown.message, metadata };
  if (!(thrown instanceof SideroError))
    return { code: status.INTERNAL, details: 'SIDERO_INTERNAL: an error of the management plane; its log has the rest', metadata };
  return { code: codeOf(thrown.code), details: `${thrown.code}: ${thrown.message}`, metadata };
}

function codeOf(code: string): status {
  if (code === 'SIDERO_RESOURCE_MISSING') return status.NOT_FOUND;
  if (code === 'SIDERO_RESOURCE_CONFLICT') return status.ABORTED;
  return UNAVAILABLE.has(code) ? status.UNAVAILABLE : status.INTERNAL;
}
