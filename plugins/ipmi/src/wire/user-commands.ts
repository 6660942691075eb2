import { FieldReader, fixedText, join, textOf } from './bytes.ts';
import { USER_NAME_BYTES } from './rakp.ts';

/** Longest password, in bytes: of IPMI 2.0, and of IPMI 1.5. */
export const PASSWORD_BYTES = { '2.0': 20, '1.5': 16 } as const;

const USER_MASK = 0x3f;
const IS_20_BYTES = 0x80;

/** Get User Access (22.27): channel and user number. */
export interface UserOnChannel {
  readonly channel: number;
  /** 1 to 63. */
  readonly userId: number;
}

export interface UserAccess {
  readonly maxUsers: number;
  readonly enabledUsers: number;
  /** How many users, from 1 on, have names that can't be changed. */
  readonly fixedNames: number;
  readonly isMessagingOn: boolean;
  /** Highest privilege on this channel; 15 is none. */
  readonly privilege: number;
}

export function encodeUserOnChannel({ channel, userId }: UserOnChannel): Uint8Array {
  return Uint8Array.of(channel, userId);
}

/** @throws SIDERO_IPMI_MALFORMED, as all decoders here */
export function decodeUserOnChannel(data: Uint8Array): UserOnChannel {
  const [channel, userId] = new FieldReader(data, 'Get User Access').take(2);
  return { channel: channel! & 0x0f, userId: userId! & USER_MASK };
}

export function encodeUserAccess({ maxUsers, enabledUsers, fixedNames, isMessagingOn, privilege }: UserAccess): Uint8Array {
  return Uint8Array.of(maxUsers, enabledUsers, fixedNames, privilege | (isMessagingOn ? 0x10 : 0));
}

export function decodeUserAccess(data: Uint8Array): UserAccess {
  const [maxUsers, enabledUsers, fixedNames, access] = new FieldReader(data, 'User Access').take(4);
  return {
    maxUsers: maxUsers! & USER_MASK,
    enabledUsers: enabledUsers! & USER_MASK,
    fixedNames: fixedNames! & USER_MASK,
    isMessagingOn: (access! & 0x10) !== 0,
    privilege: access! & 0x0f,
  };
}

/** Set User Access (22.26). */
export interface UserAccessChange extends UserOnChannel {
  readonly isMessagingOn: boolean;
  /** Highest privilege on this channel. */
  readonly privilege: number;
}

export function encodeUserAccessChange({ channel, userId, isMessagingOn, privilege }: UserAccessChange): Uint8Array {
  return Uint8Array.of(0x80 | (isMessagingOn ? 0x10 : 0) | channel, userId, privilege, 0);
}

/** Callback, link authentication and the session limit are not looked at; the limit may be absent. */
export function decodeUserAccessChange(data: Uint8Array): UserAccessChange {
  const [options, userId, privilege] = new FieldReader(data, 'Set User Access').take(3);
  return { channel: options! & 0x0f, userId: userId! & USER_MASK, isMessagingOn: (options! & 0x10) !== 0, privilege: privilege! & 0x0f };
}

/** Set User Name (22.28). */
export interface UserName {
  readonly userId: number;
  readonly name: string;
}

export function encodeSetUserName({ userId, name }: UserName): Uint8Array {
  return join(userId, fixedText(name, USER_NAME_BYTES));
}

export function decodeSetUserName(data: Uint8Array): UserName {
  const reader = new FieldReader(data, 'Set User Name');
  return { userId: reader.byte() & USER_MASK, name: textOf(reader.take(USER_NAME_BYTES)) };
}

/** The answer to Get User Name (22.29), whose request is the user number. */
export function encodeUserName(name: string): Uint8Array {
  return fixedText(name, USER_NAME_BYTES);
}

export function decodeUserName(data: Uint8Array): string {
  return textOf(new FieldReader(data, 'User Name').take(USER_NAME_BYTES));
}

/** Operations of Set User Password (22.30). */
export const PASSWORD_OPERATION = { disable: 0, enable: 1, set: 2, test: 3 } as const;

/** Completion codes of a password test. */
export const PASSWORD_TEST_FAILED = { wrong: 0x80, wrongSize: 0x81 } as const;

/** Set User Password (22.30). */
export interface PasswordChange {
  readonly userId: number;
  readonly operation: (typeof PASSWORD_OPERATION)[keyof typeof PASSWORD_OPERATION];
  /** How it is kept and sent: 20 bytes only log in to IPMI 2.0. Absent for enable and disable. */
  readonly password?: { readonly text: string; readonly bytes: 16 | 20 };
}

export function encodePasswordChange({ userId, operation, password }: PasswordChange): Uint8Array {
  const head = join(userId | (password?.bytes === 20 ? IS_20_BYTES : 0), operation);
  return password ? join(head, fixedText(password.text, password.bytes)) : head;
}

export function decodePasswordChange(data: Uint8Array): PasswordChange {
  const reader = new FieldReader(data, 'Set User Password');
  const user = reader.byte();
  const operation = operationOf(reader.byte());
  const head = { userId: user & USER_MASK, operation };
  if (operation === PASSWORD_OPERATION.disable || operation === PASSWORD_OPERATION.enable) return head;
  const bytes = (user & IS_20_BYTES) === 0 ? 16 : 20;
  return { ...head, password: { text: textOf(reader.take(bytes)), bytes } };
}

function operationOf(byte: number): PasswordChange['operation'] {
  const operations = [PASSWORD_OPERATION.disable, PASSWORD_OPERATION.enable, PASSWORD_OPERATION.set, PASSWORD_OPERATION.test] as const;
  return operations[byte & 0x03]!;
}
