import { LAN_PARAMETER } from '../wire/device-commands.ts';
import type { Chassis } from './chassis.ts';
import type { BmcConnection } from './connection.ts';
import { deviceId, lanChannel, lanParameter } from './lan-channel.ts';

/** What the BMC says of itself, for people: `{ Firmware: "2.17", Session: "suite 17: accepted" }`. */
export async function probe(bmc: BmcConnection, chassis: Chassis, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
  const { firmware, ipmiVersion, manufacturerId, productId } = await deviceId(bmc, signal);
  return {
    Firmware: firmware,
    'IPMI version': ipmiVersion,
    Manufacturer: `${manufacturerId}, product ${productId}`,
    Session: bmc.session?.story ?? '',
    'Boot flags': await bootFlags(chassis, signal),
    ...(await lan(bmc, signal)),
  };
}

async function bootFlags(chassis: Chassis, signal: AbortSignal): Promise<string> {
  const flags = await chassis.bootFlags(signal);
  if (!flags) return 'not set, or not kept';
  const words = [flags.isValid ? 'valid' : 'not valid', flags.isPersistent ? 'persistent' : 'once', flags.isUefi ? 'uefi' : 'bios'];
  return `device ${flags.device}; ${words.join(', ')}`;
}

async function lan(bmc: BmcConnection, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
  const channel = await lanChannel(bmc, signal);
  if (channel === undefined) return {};
  const address = await lanParameter(bmc, { channel, parameter: LAN_PARAMETER.ipAddress }, signal);
  const mac = await lanParameter(bmc, { channel, parameter: LAN_PARAMETER.macAddress }, signal);
  return {
    'LAN channel': String(channel),
    ...(address?.length === 4 ? { 'LAN address': address.join('.') } : {}),
    ...(mac?.length === 6 ? { 'LAN MAC': Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':') } : {}),
  };
}
