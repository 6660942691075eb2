import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BMCHardwareSchema } from '@sidero/plugin-agent/protocol';
import type { IpmiRequest, Machine } from './machine.ts';

type Bmc = MessageInitShape<typeof BMCHardwareSchema>;

/** IPMI 2.0, appendix G: network functions and commands. */
const GET_DEVICE_ID: IpmiRequest = { netFn: 0x06, command: 0x01, data: [] };
const getChannelInfo = (channel: number): IpmiRequest => ({ netFn: 0x06, command: 0x42, data: [channel] });
const getLanParameter = (channel: number, parameter: number): IpmiRequest => ({ netFn: 0x0c, command: 0x02, data: [channel, parameter, 0, 0] });
const LAN_IP_ADDRESS = 3;
const LAN_MAC_ADDRESS = 5;
const MEDIUM_802_3_LAN = 0x04;
/** Channels 12 to 15 are reserved, or the system interface itself. */
const LAST_CHANNEL = 11;

/** What the local BMC says of itself; `present: false` when none answers. */
export async function bmcFacts(machine: Machine): Promise<Bmc> {
  const device = parseDeviceId(await machine.ipmi(GET_DEVICE_ID));
  if (!device) return { present: false };
  return { ...device, present: true, ...(await lanFacts(machine)) };
}

/** Get Device ID (20.1), from the completion code on; undefined when it failed or is too short. */
export function parseDeviceId(reply: Uint8Array | undefined): Bmc | undefined {
  if (!reply || reply.length < 12 || reply[0] !== 0) return undefined;
  const at = (index: number) => reply[index]!;
  const minor = at(4).toString(16).padStart(2, '0');
  // Version in BCD with the major digit in the low half: 02h is 2.0, 51h is 1.5.
  const ipmiVersion = `${at(5) & 0x0f}.${at(5) >> 4}`;
  return { ipmiVersion, firmwareVersion: `${at(3) & 0x7f}.${minor}`, manufacturerId: at(7) | (at(8) << 8) | ((at(9) & 0x0f) << 16) };
}

// The first LAN channel that has an address; which channel number that is, vendors choose.
async function lanFacts(machine: Machine): Promise<Bmc> {
  for (let channel = 1; channel <= LAST_CHANNEL; channel++) {
    const info = await machine.ipmi(getChannelInfo(channel));
    if (!info || info[0] !== 0 || ((info[2] ?? 0) & 0x7f) !== MEDIUM_802_3_LAN) continue;
    const address = parseLanParameter(await machine.ipmi(getLanParameter(channel, LAN_IP_ADDRESS)), 4)?.join('.');
    if (!address || address === '0.0.0.0') continue;
    const mac = parseLanParameter(await machine.ipmi(getLanParameter(channel, LAN_MAC_ADDRESS)), 6);
    return { address, mac: mac?.map((byte) => byte.toString(16).padStart(2, '0')).join(':') ?? '' };
  }
  return {};
}

/** Get LAN Configuration Parameters (23.2): completion code, revision, then the value; undefined unless all of it is there. */
export function parseLanParameter(reply: Uint8Array | undefined, length: number): number[] | undefined {
  if (!reply || reply[0] !== 0 || reply.length < 2 + length) return undefined;
  return [...reply.subarray(2, 2 + length)];
}
