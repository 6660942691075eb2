import { COMMAND } from '../wire/commands.ts';
import {
  decodeChannelInfo,
  decodeDeviceId,
  decodeLanParameter,
  type DeviceId,
  encodeLanParameterQuery,
  type LanParameterQuery,
  MEDIUM_LAN,
} from '../wire/device-commands.ts';
import type { BmcConnection } from './connection.ts';

/** Channel numbers that a LAN may have. Vendors differ; 0 is the bus between controllers. */
const CHANNELS = Array.from({ length: 15 }, (_, index) => index + 1);

/** Who the BMC is. */
export async function deviceId(bmc: BmcConnection, signal: AbortSignal): Promise<DeviceId> {
  return bmc.command({ command: COMMAND.getDeviceId, what: 'device ID', signal }, decodeDeviceId);
}

/** The first channel that is a LAN; undefined when none says so. */
export async function lanChannel(bmc: BmcConnection, signal: AbortSignal): Promise<number | undefined> {
  for (const channel of CHANNELS) {
    const call = { command: COMMAND.getChannelInfo, what: 'channel', data: Uint8Array.of(channel), signal };
    if ((await bmc.commandIfKnown(call, decodeChannelInfo))?.medium === MEDIUM_LAN) return channel;
  }
  return undefined;
}

/** The value of a LAN parameter; undefined when the BMC refuses it. */
export async function lanParameter(bmc: BmcConnection, query: LanParameterQuery, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const call = { command: COMMAND.getLanParameter, what: 'LAN parameter', data: encodeLanParameterQuery(query), signal };
  return bmc.commandIfKnown(call, decodeLanParameter);
}
