import { SideroError } from '@sidero/core';
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';

// Alphabetical. What is not here is INTERNAL.
const STATUS_OF: Readonly<Record<string, status>> = {
  SIDERO_AGENT_NOT_ACCEPTED: status.FAILED_PRECONDITION,
  SIDERO_AGENT_REQUEST_INVALID: status.INVALID_ARGUMENT,
  SIDERO_BOOT_TOKEN_INVALID: status.UNAUTHENTICATED,
  SIDERO_HOOK_FAILED: status.UNAVAILABLE,
  SIDERO_HOOK_TIMEOUT: status.UNAVAILABLE,
  SIDERO_RESOURCE_CONFLICT: status.ABORTED,
  SIDERO_RESOURCE_EXISTS: status.ABORTED,
  SIDERO_RESOURCE_MISSING: status.NOT_FOUND,
  SIDERO_RESOURCE_UNREACHABLE: status.UNAVAILABLE,
  SIDERO_SERVER_DUPLICATE: status.ALREADY_EXISTS,
  SIDERO_SERVER_UUID_INVALID: status.INVALID_ARGUMENT,
  SIDERO_WIPE_INCOMPLETE: status.FAILED_PRECONDITION,
  SIDERO_WIPE_NOT_HANDED: status.FAILED_PRECONDITION,
};

/** The answer to a call that failed. Code and next step of a SideroError ride along; of any other error nothing is told. */
export function statusOf(thrown: unknown): StatusObject {
  const metadata = new Metadata();
  if (!(thrown instanceof SideroError))
    return { code: status.INTERNAL, details: 'SIDERO_INTERNAL: an error of the management plane; its log has the rest', metadata };
  metadata.set('sidero-code', thrown.code);
  metadata.set('sidero-next-bin', Buffer.from(thrown.next, 'utf8'));
  return { code: codeOf(thrown), details: `${thrown.code}: ${thrown.message}`, metadata };
}

/** The operator's next step that came with an answer of `statusOf`; undefined when there is none. */
export function nextStepOf(metadata: Metadata): string | undefined {
  return metadata.get('sidero-next-bin')[0]?.toString();
}

function codeOf(error: SideroError): status {
  const refusal = error.code === 'SIDERO_RESOURCE_FAILED' ? Number(error.details['status']) : 0;
  if (refusal === 429) return status.RESOURCE_EXHAUSTED;
  if (refusal >= 500) return status.UNAVAILABLE;
  return STATUS_OF[error.code] ?? status.INTERNAL;
}
