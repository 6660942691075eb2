import { aMachine, type MachineFixture } from './machine.fixture.ts';
import type { IpmiRequest, Machine } from './machine.ts';

/** One user of a BMC, as its commands set it. */
export interface FixtureUser {
  name: string;
  pass: string;
  isEnabled: boolean;
  /** Byte 4 of Get User Access, by channel. */
  access: Record<number, number>;
}

/** What a BMC answers to one request instead of doing it: a completion code, whole replies, or undefined for silence. */
export type Answering = (request: IpmiRequest, times: number) => number | readonly number[] | undefined | 'as usual';

/** A BMC made of plain data. */
export interface BmcFixture {
  readonly users: Map<number, FixtureUser>;
  /** Medium by channel number. */
  readonly channels: Record<number, number>;
  /** LAN parameters by `channel/parameter/set`, without revision. */
  readonly lan: Record<string, readonly number[]>;
  /** Both bytes of Get Channel Access. */
  channelAccess: readonly [number, number];
  /** Slots, and how many of them have fixed names. */
  slots: readonly [max: number, fixed: number];
  answering: Answering;
  /** Commands, with their data, in order. */
  readonly asked: IpmiRequest[];
  readonly ipmi: Machine['ipmi'];
}

export const LAN = 0x04;
const SYSTEM_INTERFACE = 0x0c;
/** Get Device ID of a Dell iDRAC: firmware 2.52, IPMI 2.0, manufacturer 674. */
export const DEVICE_ID = [0x20, 0x01, 0x02, 0x52, 0x02, 0xdf, 0xa2, 0x02, 0x00, 0x00, 0x01];

/** A BMC with a LAN on channel 1 at 10.0.9.1, ten slots for users, and an administrator in the second. */
export function aBmc(): BmcFixture {
  const bmc: BmcFixture = {
    users: new Map([[2, { name: 'ADMIN', pass: 'factory', isEnabled: true, access: { 1: 0x14 } }]]),
    channels: { 1: LAN, 15: SYSTEM_INTERFACE },
    lan: { '1/3/0': [10, 0, 9, 1], '1/5/0': [0xd0, 0x67, 0xe5, 1, 2, 3], '1/8/0': [0x6f, 0x02] },
    channelAccess: [0x02, 0x04],
    slots: [10, 1],
    answering: () => 'as usual',
    asked: [],
    ipmi: async (request) => {
      const times = bmc.asked.filter(({ netFn, command }) => netFn === request.netFn && command === request.command).length;
      bmc.asked.push(request);
      const answer = bmc.answering(request, times);
      const reply = answer === 'as usual' ? usual(bmc, request) : answer;
      return reply === undefined ? undefined : Uint8Array.from(typeof reply === 'number' ? [reply] : reply);
    },
  };
  return bmc;
}

/** A machine with this BMC behind its /dev/ipmi0. */
export function aMachineWith(bmc: BmcFixture): MachineFixture {
  return aMachine({ '/dev/ipmi0': '' }, { ipmi: bmc.ipmi });
}

function usual(bmc: BmcFixture, { netFn, command, data }: IpmiRequest): number | readonly number[] {
  const [first = 0, second = 0, third = 0] = data;
  if (netFn === 0x0c && command === 0x02) {
    const value = bmc.lan[`${first}/${second}/${third}`];
    return value ? [0, 0x11, ...value] : 0x80;
  }
  if (netFn !== 0x06) return 0xc1;
  switch (command) {
    case 0x01:
      return [0, ...DEVICE_ID];
    case 0x42:
      return bmc.channels[first] === undefined ? 0xcc : [0, first, bmc.channels[first]];
    case 0x41:
      return [0, ...bmc.channelAccess];
    default:
      return userCommand(bmc, command, data);
  }
}

function userCommand(bmc: BmcFixture, command: number, data: readonly number[]): number | readonly number[] {
  const id = data[command === 0x44 || command === 0x43 ? 1 : 0]! & 0x3f;
  if (id > bmc.slots[0]) return 0xc9;
  const user = bmc.users.get(id) ?? { name: '', pass: '', isEnabled: false, access: {} };
  bmc.users.set(id, user);
  switch (command) {
    case 0x44:
      return [0, bmc.slots[0], 0x01, bmc.slots[1], user.access[data[0]! & 0x0f] ?? 0x0f];
    case 0x46:
      return [0, ...Buffer.from(user.name.padEnd(16, '\0'), 'latin1')];
    case 0x45:
      user.name = textOf(data.slice(1));
      return 0;
    case 0x43:
      user.access[data[0]! & 0x0f] = (data[0]! & 0x70) | data[2]!;
      return 0;
    case 0x47:
      return passwordCommand(user, data);
    default:
      return 0xc1;
  }
}

function passwordCommand(user: FixtureUser, [, operation = 0, ...pass]: readonly number[]): number {
  if (operation === 0x03) return textOf(pass) === user.pass ? 0 : 0x80;
  if (operation === 0x02) user.pass = textOf(pass);
  else user.isEnabled = operation === 0x01;
  return 0;
}

const textOf = (bytes: readonly number[]) => Buffer.from(bytes).toString('latin1').split('\0')[0]!;
