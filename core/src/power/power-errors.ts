import { failure, messageOf, SideroError } from '../errors.ts';
import type { BmcLogin } from '../registries.ts';
import { withoutSecrets } from '../resources/secrets.ts';
import type { CommandResult } from './power-meters.ts';

const RESULTS: Readonly<Record<string, CommandResult>> = {
  SIDERO_BMC_AUTH: 'auth',
  SIDERO_BMC_BUSY: 'busy',
  SIDERO_BMC_UNREACHABLE: 'unreachable',
  SIDERO_BMC_UNSUPPORTED: 'unsupported',
};

/** The class of a failure; what a driver does not say is a fault. */
export function resultOf(problem: SideroError): CommandResult {
  return RESULTS[problem.code] ?? 'fault';
}

/** What errors say of a device. */
export interface AboutDevice {
  readonly server: string;
  readonly driver: string;
  readonly device: string;
}

/** What a driver threw, as one of our errors; a stranger's text loses the password, should it hold it. */
export function problemOf(thrown: unknown, about: AboutDevice, login: BmcLogin | undefined): SideroError {
  if (thrown instanceof SideroError) return thrown;
  const text = withoutSecrets(messageOf(thrown));
  const problem = login?.pass ? text.replaceAll(login.pass, '[hidden]') : text;
  return failure('SIDERO_BMC_FAULT', { ...about, problem });
}

/** Of several failures the one to act on: that a driver lacks an ability says the least. */
export function worstOf<P extends { readonly problem: SideroError }>(failed: readonly P[]): P | undefined {
  return failed.find(({ problem }) => problem.code !== 'SIDERO_BMC_UNSUPPORTED') ?? failed[0];
}
