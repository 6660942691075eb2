import {
  BOOT_OPTION_REFUSED,
  BOOT_PARAMETER,
  CHASSIS_CONTROL,
  CIPHER_SUITES,
  type CipherSuite,
  COMMAND,
  COMPLETION,
  type Command,
  decodeBootOption,
  decodeBootOptionQuery,
  decodeLanParameterQuery,
  decodePasswordChange,
  decodeSetLanParameter,
  decodeSetUserName,
  decodeUserAccessChange,
  decodeUserOnChannel,
  encodeBootOptionValue,
  encodeChannelInfo,
  encodeChassisStatus,
  encodeDeviceId,
  encodeLanParameter,
  encodeUserAccess,
  encodeUserName,
  KEEP_BOOT_FLAGS,
  MEDIUM_LAN,
  PASSWORD_OPERATION,
  PASSWORD_TEST_FAILED,
  type PasswordChange,
  PRIVILEGE,
  THIS_CHANNEL,
} from '@sidero/plugin-ipmi/protocol';
import type { PowerAction } from '../chassis.ts';
import type { Account, OrderAnswer, SimulatedBmc } from '../simulated-bmc.ts';
import type { LanParameters } from './lan-parameters.ts';

/** The LAN channel of the simulated BMC. */
export const LAN_CHANNEL = 1;

/** Most users it can have. */
const MAX_USERS = 15;

/** Completion code and data. */
export interface Answer {
  readonly code: number;
  readonly data?: Uint8Array;
}

/** What commands are about. */
export interface Device {
  readonly bmc: SimulatedBmc;
  readonly lan: LanParameters;
  /** System GUID, 16 bytes as they are sent. */
  readonly guid: Uint8Array;
  /** In the order of preference of the BMC. */
  readonly suites: readonly CipherSuite['id'][];
}

interface Handler {
  /** Lowest privilege that may do it. */
  readonly privilege: number;
  answer(data: Uint8Array, device: Device): Answer;
}

const ok = (data?: Uint8Array): Answer => ({ code: COMPLETION.ok, ...(data && { data }) });
const refuse = (code: number): Answer => ({ code });
const keyOf = ({ netFn, command }: Command) => (netFn << 8) | command;

/** Does a command for somebody with that privilege; SIDERO_IPMI_MALFORMED of its data is a completion code of the caller. */
export function execute(request: Command & { readonly data: Uint8Array }, device: Device, privilege: number): Answer {
  const handler = HANDLERS.get(keyOf(request));
  if (!handler) return refuse(COMPLETION.invalidCommand);
  if (privilege < handler.privilege) return refuse(COMPLETION.privilegeInsufficient);
  return handler.answer(request.data, device);
}

// Not in the protocol of the client, which has no use for them.
const GET_SYSTEM_GUID: Command = { netFn: COMMAND.getDeviceId.netFn, command: 0x37 };
const GET_CHANNEL_ACCESS: Command = { netFn: COMMAND.getDeviceId.netFn, command: 0x41 };

const { user: USER, operator: OPERATOR, administrator: ADMINISTRATOR } = PRIVILEGE;

const HANDLERS: ReadonlyMap<number, Handler> = new Map(
  (
    [
      [COMMAND.getDeviceId, USER, () => ok(encodeDeviceId({ firmware: '2.17', ipmiVersion: '2.0', manufacturerId: 0, productId: 1 }))],
      [GET_SYSTEM_GUID, USER, (_, { guid }) => ok(guid)],
      [COMMAND.getChassisStatus, USER, (_, { bmc }) => chassisStatus(bmc)],
      [COMMAND.chassisControl, OPERATOR, ([order], { bmc }) => control(bmc, order)],
      [COMMAND.setBootOption, OPERATOR, (data, { bmc }) => setBootOption(bmc, data)],
      [COMMAND.getBootOption, OPERATOR, (data, { bmc }) => getBootOption(bmc, data)],
      [COMMAND.getChannelInfo, USER, ([channel]) => channelInfo(channel)],
      [GET_CHANNEL_ACCESS, USER, ([channel]) => channelAccess(channel)],
      [COMMAND.getChannelCipherSuites, USER, (data, { suites }) => cipherSuites(data, suites)],
      [COMMAND.getUserAccess, OPERATOR, (data, { bmc }) => getUserAccess(bmc, data)],
      [COMMAND.setUserAccess, ADMINISTRATOR, (data, { bmc }) => setUserAccess(bmc, data)],
      [COMMAND.getUserName, OPERATOR, ([id], { bmc }) => withAccount(bmc, id, ({ name }) => ok(encodeUserName(name)))],
      [COMMAND.setUserName, ADMINISTRATOR, (data, { bmc }) => setUserName(bmc, data)],
      [COMMAND.setUserPassword, ADMINISTRATOR, (data, { bmc }) => setUserPassword(bmc, decodePasswordChange(data))],
      [COMMAND.getLanParameter, OPERATOR, (data, { lan }) => getLanParameter(lan, data)],
      [COMMAND.setLanParameter, ADMINISTRATOR, (data, { lan }) => setLanParameter(lan, data)],
    ] satisfies readonly [Command, number, Handler['answer']][]
  ).map(([command, privilege, answer]) => [keyOf(command), { privilege, answer }]),
);

function chassisStatus(bmc: SimulatedBmc): Answer {
  const isOn = bmc.readPower();
  return isOn === undefined ? refuse(COMPLETION.unspecified) : ok(encodeChassisStatus({ isOn, hasPowerFault: false, hasControlFault: false }));
}

const ORDERS: ReadonlyMap<number | undefined, PowerAction> = new Map([
  [CHASSIS_CONTROL.on, 'on'],
  [CHASSIS_CONTROL.off, 'off'],
  [CHASSIS_CONTROL.cycle, 'cycle'],
  [CHASSIS_CONTROL.reset, 'cycle'],
  [CHASSIS_CONTROL.softOff, 'soft'],
]);

const CODES: Readonly<Record<OrderAnswer, number>> = {
  ok: COMPLETION.ok,
  refused: COMPLETION.unspecified,
  'not in this state': COMPLETION.notInThisState,
};

function control(bmc: SimulatedBmc, order: number | undefined): Answer {
  const action = ORDERS.get(order);
  return refuse(action ? CODES[bmc.order(action)] : COMPLETION.invalidField);
}

function setBootOption(bmc: SimulatedBmc, data: Uint8Array): Answer {
  const { parameter, value } = decodeBootOption(data);
  switch (parameter) {
    case BOOT_PARAMETER.flags:
      return value.length < 5 ? refuse(COMPLETION.lengthInvalid) : refuse(CODES[bmc.setBootFlags(value)]);
    case BOOT_PARAMETER.validBitClearing:
      bmc.keepsFlags = ((value[0] ?? 0) & KEEP_BOOT_FLAGS.onTimeout) !== 0;
      return ok();
    case BOOT_PARAMETER.setInProgress:
    case BOOT_PARAMETER.acknowledge:
      return ok();
    default:
      return refuse(BOOT_OPTION_REFUSED.notSupported);
  }
}

function getBootOption(bmc: SimulatedBmc, data: Uint8Array): Answer {
  const parameter = decodeBootOptionQuery(data);
  const values: Readonly<Record<number, Uint8Array>> = {
    [BOOT_PARAMETER.flags]: bmc.bootFlags(),
    [BOOT_PARAMETER.validBitClearing]: Uint8Array.of(bmc.keepsFlags ? KEEP_BOOT_FLAGS.onTimeout : 0),
    [BOOT_PARAMETER.setInProgress]: Uint8Array.of(0),
  };
  const value = values[parameter];
  return value ? ok(encodeBootOptionValue({ parameter, isInvalid: false, value })) : refuse(BOOT_OPTION_REFUSED.notSupported);
}

const isLan = (channel = -1) => (channel & 0x0f) === THIS_CHANNEL || (channel & 0x0f) === LAN_CHANNEL;

function channelInfo(channel: number | undefined): Answer {
  return isLan(channel) ? ok(encodeChannelInfo({ channel: LAN_CHANNEL, medium: MEDIUM_LAN, protocol: 1 })) : refuse(COMPLETION.notPresent);
}

/** Always available, messages signed, administrator at most (22.23). */
function channelAccess(channel: number | undefined): Answer {
  return isLan(channel) ? ok(Uint8Array.of(0x02, ADMINISTRATOR)) : refuse(COMPLETION.notPresent);
}

/** Get Channel Cipher Suites (22.15): records of the suites, 16 bytes at a time. */
export function cipherSuites([channel, , list = 0]: Uint8Array, suites: Device['suites']): Answer {
  if (!isLan(channel)) return refuse(COMPLETION.notPresent);
  const records = suites.flatMap((id) => {
    const { authentication, integrity, confidentiality } = CIPHER_SUITES[id].algorithms;
    return [0xc0, id, authentication, 0x40 | integrity, 0x80 | confidentiality];
  });
  const at = (list & 0x3f) * 16;
  return ok(Uint8Array.of(LAN_CHANNEL, ...records.slice(at, at + 16)));
}

function withAccount(bmc: SimulatedBmc, id: number | undefined, use: (account: Account) => Answer): Answer {
  if (!id || id > MAX_USERS) return refuse(COMPLETION.outOfRange);
  while (bmc.accounts.length < id) bmc.accounts.push({ name: '', password: '', privilege: 'user', isEnabled: false });
  return use(bmc.accounts[id - 1]!);
}

function getUserAccess(bmc: SimulatedBmc, data: Uint8Array): Answer {
  const { userId } = decodeUserOnChannel(data);
  const enabledUsers = bmc.accounts.filter(({ isEnabled }) => isEnabled).length;
  return withAccount(bmc, userId, ({ isEnabled, privilege }) =>
    ok(encodeUserAccess({ maxUsers: MAX_USERS, enabledUsers, fixedNames: 1, isMessagingOn: isEnabled, privilege: PRIVILEGE[privilege] })),
  );
}

function setUserAccess(bmc: SimulatedBmc, data: Uint8Array): Answer {
  const { userId, privilege } = decodeUserAccessChange(data);
  const name = (['user', 'operator', 'administrator'] as const).find((one) => PRIVILEGE[one] === privilege);
  return withAccount(bmc, userId, (account) => {
    account.privilege = name ?? 'user';
    return ok();
  });
}

function setUserName(bmc: SimulatedBmc, data: Uint8Array): Answer {
  const { userId, name } = decodeSetUserName(data);
  if (userId === 1) return refuse(COMPLETION.invalidField); // the nameless one stays that
  return withAccount(bmc, userId, (account) => {
    account.name = name;
    return ok();
  });
}

function setUserPassword(bmc: SimulatedBmc, { userId, operation, password }: PasswordChange): Answer {
  return withAccount(bmc, userId, (account) => {
    if (operation === PASSWORD_OPERATION.test) return refuse(account.password === password?.text ? COMPLETION.ok : PASSWORD_TEST_FAILED.wrong);
    if (operation === PASSWORD_OPERATION.set) account.password = password?.text ?? '';
    else account.isEnabled = operation === PASSWORD_OPERATION.enable;
    return ok();
  });
}

/** Completion codes of the two commands about LAN parameters (23.1, 23.2). */
const LAN_REFUSED = { notSupported: 0x80, readOnly: 0x82 } as const;

function getLanParameter(lan: LanParameters, data: Uint8Array): Answer {
  const { channel, parameter } = decodeLanParameterQuery(data);
  if (!isLan(channel)) return refuse(COMPLETION.notPresent);
  const value = lan.get(parameter);
  return value ? ok(encodeLanParameter(value)) : refuse(LAN_REFUSED.notSupported);
}

function setLanParameter(lan: LanParameters, data: Uint8Array): Answer {
  const { channel, parameter, value } = decodeSetLanParameter(data);
  if (!isLan(channel)) return refuse(COMPLETION.notPresent);
  const outcome = lan.set(parameter, value);
  return refuse(outcome === 'ok' ? COMPLETION.ok : LAN_REFUSED[outcome]);
}
