import { COMMAND } from '../wire/commands.ts';
import { COMPLETION } from '../wire/completion-codes.ts';
import { THIS_CHANNEL } from '../wire/session-commands.ts';
import {
  decodeUserAccess,
  decodeUserName,
  encodePasswordChange,
  encodeSetUserName,
  encodeUserAccessChange,
  encodeUserOnChannel,
  PASSWORD_BYTES,
  PASSWORD_OPERATION,
  PASSWORD_TEST_FAILED,
  type UserAccess,
  type UserAccessChange,
  type UserName,
  type UserOnChannel,
} from '../wire/user-commands.ts';
import { bmcFailure, type Subject } from './bmc-failure.ts';
import { type BmcConnection, nothing } from './connection.ts';
import { lanChannel } from './lan-channel.ts';

/** A password of a user, in the form the BMC keeps it. */
export interface UserPassword {
  readonly userId: number;
  readonly password: string;
}

/** The users of a BMC. What changes them takes the privilege administrator. */
export class Users {
  readonly #bmc: BmcConnection;
  readonly #subject: Subject;

  constructor(bmc: BmcConnection, subject: Subject) {
    this.#bmc = bmc;
    this.#subject = subject;
  }

  async access(user: UserOnChannel, signal: AbortSignal): Promise<UserAccess> {
    const data = encodeUserOnChannel(user);
    return this.#bmc.command({ command: COMMAND.getUserAccess, what: 'user access', data, signal }, decodeUserAccess);
  }

  async setAccess(change: UserAccessChange, signal: AbortSignal): Promise<void> {
    await this.#bmc.command({ command: COMMAND.setUserAccess, what: 'set user access', data: encodeUserAccessChange(change), signal }, nothing);
  }

  /** Empty for a user that has none; undefined when there is no such user. */
  async name(userId: number, signal: AbortSignal): Promise<string | undefined> {
    return this.#bmc.commandIfKnown({ command: COMMAND.getUserName, what: 'user name', data: Uint8Array.of(userId), signal }, decodeUserName);
  }

  async setName(user: UserName, signal: AbortSignal): Promise<void> {
    await this.#bmc.command({ command: COMMAND.setUserName, what: 'set user name', data: encodeSetUserName(user), signal }, nothing);
  }

  async enable(userId: number, signal: AbortSignal): Promise<void> {
    const data = encodePasswordChange({ userId, operation: PASSWORD_OPERATION.enable });
    await this.#bmc.command({ command: COMMAND.setUserPassword, what: 'enable user', data, signal }, nothing);
  }

  async setPassword(given: UserPassword, signal: AbortSignal): Promise<void> {
    const data = passwordData(given, PASSWORD_OPERATION.set);
    await this.#bmc.command({ command: COMMAND.setUserPassword, what: 'set password', data, signal }, nothing);
  }

  /** Whether the BMC takes it for the user's password; undefined when it can't tell. */
  async hasPassword(given: UserPassword, signal: AbortSignal): Promise<boolean | undefined> {
    const data = passwordData(given, PASSWORD_OPERATION.test);
    const { completionCode } = await this.#bmc.request({ command: COMMAND.setUserPassword, what: 'test password', data, signal });
    if (completionCode === COMPLETION.ok) return true;
    return completionCode === PASSWORD_TEST_FAILED.wrong || completionCode === PASSWORD_TEST_FAILED.wrongSize ? false : undefined;
  }

  /** The number of the user with that name; undefined when there is none. */
  async find(name: string, signal: AbortSignal): Promise<number | undefined> {
    const { maxUsers } = await this.#firstAccess(signal);
    for (let userId = 1; userId <= maxUsers; userId++) {
      if ((await this.name(userId, signal)) === name) return userId;
    }
    return undefined;
  }

  // Not every BMC takes "the channel we are on" here.
  async #firstAccess(signal: AbortSignal): Promise<UserAccess> {
    const data = encodeUserOnChannel({ channel: THIS_CHANNEL, userId: 1 });
    const access = await this.#bmc.commandIfKnown({ command: COMMAND.getUserAccess, what: 'user access', data, signal }, decodeUserAccess);
    return access ?? this.access({ channel: (await lanChannel(this.#bmc, signal)) ?? 1, userId: 1 }, signal);
  }

  /** Gives a user, found by name, another password, and has the BMC test it. */
  async changePassword(name: string, password: string, signal: AbortSignal): Promise<void> {
    if (Buffer.byteLength(password) > PASSWORD_BYTES['2.0']) {
      throw bmcFailure(this.#subject, 'SIDERO_BMC_UNSUPPORTED', `the new password is longer than ${PASSWORD_BYTES['2.0']} bytes`);
    }
    const userId = await this.find(name, signal);
    if (userId === undefined) throw bmcFailure(this.#subject, 'SIDERO_BMC_FAULT', 'its list of users lacks the one that we are logged in as');
    await this.setPassword({ userId, password }, signal);
    if ((await this.hasPassword({ userId, password }, signal)) === false) {
      throw bmcFailure(this.#subject, 'SIDERO_BMC_FAULT', 'it took the new password, and then does not know it');
    }
  }
}

// As 16 bytes a password logs in to IPMI 1.5, too.
function passwordData({ userId, password }: UserPassword, operation: 2 | 3): Uint8Array {
  const bytes = Buffer.byteLength(password) > PASSWORD_BYTES['1.5'] ? 20 : 16;
  return encodePasswordChange({ userId, operation, password: { text: password, bytes } });
}
