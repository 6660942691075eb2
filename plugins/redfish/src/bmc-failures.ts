import { failure, type SideroError } from '@sidero/core';

/** What every error of one session says: the Server, and the service that is talked to. */
export interface About {
  readonly server: string;
  readonly driver: string;
  readonly device: string;
}

/** Makes the five errors of a power driver. `problem` is a clause, and never holds a login. */
export type BmcFailures = Readonly<
  Record<'auth' | 'busy' | 'fault' | 'unreachable' | 'unsupported', (problem: string, cause?: unknown) => SideroError>
>;

/** The errors that tell about this server and service. */
export function failuresAbout(about: About): BmcFailures {
  return {
    auth: (problem, cause) => failure('SIDERO_BMC_AUTH', { ...about, problem, cause }),
    busy: (problem, cause) => failure('SIDERO_BMC_BUSY', { ...about, problem, cause }),
    fault: (problem, cause) => failure('SIDERO_BMC_FAULT', { ...about, problem, cause }),
    unreachable: (problem, cause) => failure('SIDERO_BMC_UNREACHABLE', { ...about, problem, cause }),
    unsupported: (problem, cause) => failure('SIDERO_BMC_UNSUPPORTED', { ...about, problem, cause }),
  };
}

const CLAUSE_LENGTH = 120;

/**
 * The beginning of a text that a BMC wrote, fit for an error: without markup and control characters, and without `secrets`, since a BMC may
 * answer with what it was sent.
 */
export function clauseOf(text: string, secrets: readonly string[]): string {
  const hidden = secrets.filter((secret) => secret !== '').flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  const plain = hidden
    .reduce((clean, secret) => clean.replaceAll(secret, '[hidden]'), text)
    .slice(0, 4096)
    .replaceAll(/<(script|style)[\s\S]*?<\/\1>|<[^>]*>/gi, ' ')
    .replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]+/gu, ' ')
    .replaceAll(/ {2,}/g, ' ')
    .trim();
  return plain.length > CLAUSE_LENGTH ? `${plain.slice(0, CLAUSE_LENGTH)}…` : plain;
}
