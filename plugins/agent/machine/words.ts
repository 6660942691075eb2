import { status } from '@grpc/grpc-js';

/** Why a call failed, in words for somebody at the console. `target` is who was called. */
export function wordsOf(thrown: unknown, target: string): string {
  if (!isServiceError(thrown)) return thrown instanceof Error ? thrown.message : String(thrown);
  switch (thrown.code) {
    case status.DEADLINE_EXCEEDED:
    case status.UNAVAILABLE:
      return `no answer from the management plane at ${target}: ${thrown.details}`;
    case status.UNIMPLEMENTED:
      return `what answers at ${target} is not the management plane (no such method)`;
    default: {
      const next = thrown.metadata?.get('sidero-next-bin')[0]?.toString();
      return next ? `${thrown.details} Next: ${next}` : thrown.details;
    }
  }
}

/** Whether somebody answered, and said no; then waiting for the network does not help. */
export function wasAnswered(thrown: unknown): boolean {
  return isServiceError(thrown) && thrown.code !== status.DEADLINE_EXCEEDED && thrown.code !== status.UNAVAILABLE;
}

type Failed = { readonly code: number; readonly details: string; readonly metadata?: { get(key: string): readonly (string | Buffer)[] } };

function isServiceError(thrown: unknown): thrown is Failed {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' && 'details' in thrown;
}
