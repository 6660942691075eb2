import { failure, hasCode, type SideroError } from '@sidero/core';
import { COMPLETION, completionText, RAKP_STATUS, rakpStatusText } from '../wire/completion-codes.ts';

/** Whom an error is about. */
export interface Subject {
  /** Name of the Server. */
  readonly server: string;
  /** `host:port` of its BMC. */
  readonly device: string;
}

type Kind = 'SIDERO_BMC_AUTH' | 'SIDERO_BMC_BUSY' | 'SIDERO_BMC_FAULT' | 'SIDERO_BMC_UNREACHABLE' | 'SIDERO_BMC_UNSUPPORTED';

/** @param problem a clause without passwords */
export function bmcFailure({ server, device }: Subject, kind: Kind, problem: string): SideroError {
  return failure(kind, { server, driver: 'ipmi', device, problem });
}

/** What `decode` makes of an answer's data. @throws SIDERO_BMC_FAULT when the data is not what it should be */
export function understood<T>(subject: Subject, what: string, decode: () => T): T {
  try {
    return decode();
  } catch (thrown) {
    if (!hasCode(thrown, 'SIDERO_IPMI_MALFORMED')) throw thrown;
    throw bmcFailure(subject, 'SIDERO_BMC_FAULT', `${what}: ${String(thrown.details['problem'])}`);
  }
}

const BY_COMPLETION = new Map<number, Kind>([
  [COMPLETION.busy, 'SIDERO_BMC_BUSY'],
  [COMPLETION.timeout, 'SIDERO_BMC_BUSY'],
  [COMPLETION.outOfSpace, 'SIDERO_BMC_BUSY'],
  [COMPLETION.firmwareUpdate, 'SIDERO_BMC_BUSY'],
  [COMPLETION.initializing, 'SIDERO_BMC_BUSY'],
  [COMPLETION.privilegeInsufficient, 'SIDERO_BMC_AUTH'],
  [COMPLETION.invalidCommand, 'SIDERO_BMC_UNSUPPORTED'],
  [COMPLETION.invalidForLun, 'SIDERO_BMC_UNSUPPORTED'],
  [COMPLETION.outOfRange, 'SIDERO_BMC_UNSUPPORTED'],
  [COMPLETION.invalidField, 'SIDERO_BMC_UNSUPPORTED'],
  [COMPLETION.notInThisState, 'SIDERO_BMC_UNSUPPORTED'],
  [COMPLETION.disabled, 'SIDERO_BMC_UNSUPPORTED'],
  // "Parameter not supported" of the boot options and of LAN parameters; other commands' own codes start here, too.
  [0x80, 'SIDERO_BMC_UNSUPPORTED'],
]);

/** What a completion code other than 0 means to us. */
export function completionFailure(subject: Subject, what: string, code: number): SideroError {
  return bmcFailure(subject, BY_COMPLETION.get(code) ?? 'SIDERO_BMC_FAULT', `${what}: ${completionText(code)}`);
}

/** Codes that pass by themselves in a moment, with nothing having been done. */
export function isPassing(code: number): boolean {
  return code === COMPLETION.busy || code === COMPLETION.outOfSpace;
}

/** As `isPassing`, for what may be done twice: a BMC that knows a repetition for one may keep its answer to itself. */
export function isWorthRepeating(code: number): boolean {
  return isPassing(code) || code === COMPLETION.duplicate;
}

const BY_RAKP_STATUS = new Map<number, Kind>([
  [RAKP_STATUS.outOfResources, 'SIDERO_BMC_BUSY'],
  [RAKP_STATUS.outOfResourcesForRole, 'SIDERO_BMC_BUSY'],
  [RAKP_STATUS.invalidRole, 'SIDERO_BMC_AUTH'],
  [RAKP_STATUS.unauthorizedRole, 'SIDERO_BMC_AUTH'],
  [RAKP_STATUS.invalidNameLength, 'SIDERO_BMC_AUTH'],
  [RAKP_STATUS.unauthorizedName, 'SIDERO_BMC_AUTH'],
  [RAKP_STATUS.unauthorizedGuid, 'SIDERO_BMC_AUTH'],
  [RAKP_STATUS.illegalParameter, 'SIDERO_BMC_UNSUPPORTED'],
]);

/** What a refusal while a session is opened means to us. */
export function rakpFailure(subject: Subject, status: number): SideroError {
  return bmcFailure(subject, BY_RAKP_STATUS.get(status) ?? 'SIDERO_BMC_FAULT', rakpStatusText(status));
}

/** Refusals that another cipher suite may escape. */
export function isAboutSuite(status: number): boolean {
  const { invalidPayload, invalidAuthentication, invalidIntegrity, noAuthenticationPayload, noIntegrityPayload } = RAKP_STATUS;
  const { invalidConfidentiality, noSuite, illegalParameter } = RAKP_STATUS;
  return [
    invalidPayload,
    invalidAuthentication,
    invalidIntegrity,
    noAuthenticationPayload,
    noIntegrityPayload,
    invalidConfidentiality,
    noSuite,
    // What some BMCs say of algorithms they have never heard of.
    illegalParameter,
  ].some((each) => each === status);
}

/** Refusals of a BMC whose sessions are all taken: asking at once again takes another. */
export function isFull(status: number): boolean {
  return status === RAKP_STATUS.outOfResources || status === RAKP_STATUS.outOfResourcesForRole;
}
