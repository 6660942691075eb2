import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BMCHardwareSchema } from '@sidero/plugin-agent/protocol';
import { BmcRefusal, getDeviceId, getLanParameter, type LocalBmc, localBmc, unlessRefused } from './bmc-commands.ts';
import { findLan } from './bmc-lan.ts';
import type { Machine } from './machine.ts';

type Bmc = MessageInitShape<typeof BMCHardwareSchema>;

const LAN_MAC_ADDRESS = 5;

/** What the local BMC says of itself; `present: false` when none answers. */
export async function bmcFacts(machine: Machine, signal: AbortSignal): Promise<Bmc> {
  const bmc = localBmc(machine, signal);
  const device = parseDeviceId(await unlessSilent(bmc.ask('Get Device ID', getDeviceId)));
  if (!device) return { present: false };
  return { ...device, present: true, ...(await unlessSilent(lanFacts(bmc))) };
}

/** Get Device ID (20.1), without completion code; undefined when it is too short. */
export function parseDeviceId(data: readonly number[] | undefined): Bmc | undefined {
  if (!data || data.length < 11) return undefined;
  const at = (index: number) => data[index]!;
  const minor = at(3).toString(16).padStart(2, '0');
  // Version in BCD with the major digit in the low half: 02h is 2.0, 51h is 1.5.
  const ipmiVersion = `${at(4) & 0x0f}.${at(4) >> 4}`;
  return { ipmiVersion, firmwareVersion: `${at(2) & 0x7f}.${minor}`, manufacturerId: at(6) | (at(7) << 8) | ((at(8) & 0x0f) << 16) };
}

async function lanFacts(bmc: LocalBmc): Promise<Bmc> {
  const { channel, ip } = await findLan(bmc);
  // Its first byte is the parameter's revision.
  const mac = (await unlessRefused(bmc.ask('Get LAN Configuration Parameters', getLanParameter(channel, LAN_MAC_ADDRESS))))?.slice(1, 7);
  return { address: ip, mac: mac?.length === 6 ? mac.map((byte) => byte.toString(16).padStart(2, '0')).join(':') : '' };
}

// Facts are told as far as there are any.
async function unlessSilent<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (thrown) {
    if (thrown instanceof BmcRefusal) return undefined;
    throw thrown;
  }
}
