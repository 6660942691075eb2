import { FieldReader, fixedText, join, textOf, uint32 } from './bytes.ts';
import { USER_NAME_BYTES } from './rakp.ts';
import type { AuthType } from './session-packet.ts';

/** The channel that the request came in by. */
export const THIS_CHANNEL = 0x0e;

const WANTS_EXTENDED = 0x80;
const HAS_EXTENDED = 0x80;
const SPEAKS_2_0 = 0x02;
const SPEAKS_1_5 = 0x01;
const KG_IS_SET = 0x20;
const PER_MESSAGE_OFF = 0x10;

/** Get Channel Authentication Capabilities (22.13). */
export interface AuthCapabilitiesRequest {
  readonly channel: number;
  readonly privilege: number;
  /** Whether it is also to say what it knows of IPMI 2.0. Old BMCs refuse this. */
  readonly isExtended: boolean;
}

export interface AuthCapabilities {
  readonly channel: number;
  /** Authentication types of IPMI 1.5 that are on: bit n is type n. */
  readonly authTypes: number;
  readonly speaksIpmi2: boolean;
  readonly speaksIpmi15: boolean;
  /** The BMC has a key of its own (K_G), beside the users' passwords. */
  readonly hasBmcKey: boolean;
  /** Packets after the session was activated may go without an authentication code. */
  readonly isPerMessageOff: boolean;
}

export function encodeAuthCapabilitiesRequest({ channel, privilege, isExtended }: AuthCapabilitiesRequest): Uint8Array {
  return Uint8Array.of(channel | (isExtended ? WANTS_EXTENDED : 0), privilege);
}

/** @throws SIDERO_IPMI_MALFORMED, as all decoders here */
export function decodeAuthCapabilitiesRequest(data: Uint8Array): AuthCapabilitiesRequest {
  const [channel, privilege] = new FieldReader(data, 'Get Channel Authentication Capabilities').take(2);
  return { channel: channel! & 0x0f, privilege: privilege! & 0x0f, isExtended: (channel! & WANTS_EXTENDED) !== 0 };
}

export function encodeAuthCapabilities(given: AuthCapabilities): Uint8Array {
  const versions = (given.speaksIpmi2 ? SPEAKS_2_0 : 0) | (given.speaksIpmi15 ? SPEAKS_1_5 : 0);
  // A user must be named, and named users exist.
  const status = (given.hasBmcKey ? KG_IS_SET : 0) | (given.isPerMessageOff ? PER_MESSAGE_OFF : 0) | 0x04;
  const authTypes = given.authTypes | (given.speaksIpmi2 ? HAS_EXTENDED : 0);
  return Uint8Array.of(given.channel, authTypes, status, given.speaksIpmi2 ? versions : 0, 0, 0, 0, 0);
}

export function decodeAuthCapabilities(data: Uint8Array): AuthCapabilities {
  const [channel, types, status, versions] = new FieldReader(data, 'Authentication Capabilities').take(4);
  const isExtended = (types! & HAS_EXTENDED) !== 0;
  return {
    channel: channel! & 0x0f,
    authTypes: types! & 0x3f,
    speaksIpmi2: isExtended && (versions! & SPEAKS_2_0) !== 0,
    speaksIpmi15: !isExtended || (versions! & SPEAKS_1_5) !== 0,
    hasBmcKey: isExtended && (status! & KG_IS_SET) !== 0,
    isPerMessageOff: (status! & PER_MESSAGE_OFF) !== 0,
  };
}

/** Get Session Challenge (22.16), IPMI 1.5. */
export interface ChallengeRequest {
  readonly authType: number;
  readonly user: string;
}

export interface Challenge {
  readonly temporarySessionId: number;
  /** 16 bytes. */
  readonly challenge: Uint8Array;
}

/** Completion codes of Get Session Challenge. */
export const CHALLENGE_REFUSED = { invalidUser: 0x81, noNullUser: 0x82 } as const;

export function encodeChallengeRequest({ authType, user }: ChallengeRequest): Uint8Array {
  return join(authType, fixedText(user, USER_NAME_BYTES));
}

export function decodeChallengeRequest(data: Uint8Array): ChallengeRequest {
  const reader = new FieldReader(data, 'Get Session Challenge');
  return { authType: reader.byte() & 0x0f, user: textOf(reader.take(USER_NAME_BYTES)) };
}

export function encodeChallenge({ temporarySessionId, challenge }: Challenge): Uint8Array {
  return join(uint32(temporarySessionId), challenge);
}

export function decodeChallenge(data: Uint8Array): Challenge {
  const reader = new FieldReader(data, 'Session Challenge');
  return { temporarySessionId: reader.uint32(), challenge: reader.take(16) };
}

/** Activate Session (22.17), IPMI 1.5. */
export interface ActivationRequest {
  readonly authType: number;
  readonly privilege: number;
  /** As the BMC gave it. */
  readonly challenge: Uint8Array;
  /** First sequence number of what the BMC sends; not 0. */
  readonly consoleSequence: number;
}

export interface Activation {
  /** For the rest of the session; `none` when per-message authentication is off. */
  readonly authType: number;
  readonly sessionId: number;
  /** First sequence number of what the console sends; not 0. */
  readonly bmcSequence: number;
  readonly privilege: number;
}

/** Completion codes of Activate Session. */
export const ACTIVATION_REFUSED = {
  noSlot: 0x81,
  noSlotForUser: 0x82,
  noSlotForPrivilege: 0x83,
  sequenceOutOfRange: 0x84,
  invalidSession: 0x85,
  privilegeExceeds: 0x86,
} as const;

export function encodeActivationRequest({ authType, privilege, challenge, consoleSequence }: ActivationRequest): Uint8Array {
  return join(authType, privilege, challenge, uint32(consoleSequence));
}

export function decodeActivationRequest(data: Uint8Array): ActivationRequest {
  const reader = new FieldReader(data, 'Activate Session');
  const [authType, privilege] = reader.take(2);
  return { authType: authType! & 0x0f, privilege: privilege! & 0x0f, challenge: reader.take(16), consoleSequence: reader.uint32() };
}

export function encodeActivation({ authType, sessionId, bmcSequence, privilege }: Activation): Uint8Array {
  return join(authType, uint32(sessionId), uint32(bmcSequence), privilege);
}

export function decodeActivation(data: Uint8Array): Activation {
  const reader = new FieldReader(data, 'Activate Session answer');
  const authType = reader.byte() & 0x0f;
  return { authType, sessionId: reader.uint32(), bmcSequence: reader.uint32(), privilege: reader.byte() & 0x0f };
}

/** Whether `type` is among `authTypes` of the capabilities. */
export function offersAuthType({ authTypes }: AuthCapabilities, type: AuthType): boolean {
  return (authTypes & (1 << type)) !== 0;
}

/** Completion codes of Set Session Privilege Level (22.18). Its data, both ways, is one byte: the level. */
export const PRIVILEGE_REFUSED = { notForUser: 0x80, exceedsLimit: 0x81 } as const;

/** Close Session (22.19). */
export function encodeCloseSession(sessionId: number): Uint8Array {
  return uint32(sessionId);
}

/** The session ID. */
export function decodeCloseSession(data: Uint8Array): number {
  return new FieldReader(data, 'Close Session').uint32();
}

/** Completion code of Close Session. */
export const CLOSE_REFUSED = { invalidSession: 0x87 } as const;
