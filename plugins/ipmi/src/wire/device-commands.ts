import { FieldReader, join } from './bytes.ts';

/** Get Device ID (20.1), what we look at. */
export interface DeviceId {
  /** As people read it: `2.17`. */
  readonly firmware: string;
  /** `2.0` or `1.5`. */
  readonly ipmiVersion: string;
  /** IANA enterprise number. */
  readonly manufacturerId: number;
  readonly productId: number;
}

export function encodeDeviceId({ firmware, ipmiVersion, manufacturerId, productId }: DeviceId): Uint8Array {
  const [major = '0', minor = '0'] = firmware.split('.');
  const [versionMajor = '2', versionMinor = '0'] = ipmiVersion.split('.');
  const version = (Number(versionMinor) << 4) | Number(versionMajor);
  const manufacturer = [manufacturerId, manufacturerId >>> 8, (manufacturerId >>> 16) & 0x0f];
  return Uint8Array.of(0, 0, Number(major) & 0x7f, Number.parseInt(minor, 16), version, 0, ...manufacturer, productId, productId >>> 8);
}

/** @throws SIDERO_IPMI_MALFORMED, as all decoders here */
export function decodeDeviceId(data: Uint8Array): DeviceId {
  const reader = new FieldReader(data, 'Device ID');
  const [, , major, minor, version] = reader.take(6);
  const manufacturer = reader.take(3);
  return {
    firmware: `${major! & 0x7f}.${minor!.toString(16).padStart(2, '0')}`,
    // BCD with the major digit in the low half: 02h is 2.0, 51h is 1.5.
    ipmiVersion: `${version! & 0x0f}.${version! >> 4}`,
    manufacturerId: manufacturer[0]! | (manufacturer[1]! << 8) | ((manufacturer[2]! & 0x0f) << 16),
    productId: reader.uint16(),
  };
}

/** Medium of a channel that is a LAN (table 6-3). */
export const MEDIUM_LAN = 0x04;

/** Get Channel Info (22.24), what we look at. Its request is the channel. */
export interface ChannelInfo {
  readonly channel: number;
  /** See MEDIUM_LAN. */
  readonly medium: number;
  readonly protocol: number;
}

export function encodeChannelInfo({ channel, medium, protocol }: ChannelInfo): Uint8Array {
  // Sessions on it, and Intel's number, as the specification demands for IPMI's own channels.
  return Uint8Array.of(channel, medium, protocol, 0x80, 0xf2, 0x1b, 0x00, 0, 0);
}

export function decodeChannelInfo(data: Uint8Array): ChannelInfo {
  const [channel, medium, protocol] = new FieldReader(data, 'Channel Info').take(3);
  return { channel: channel! & 0x0f, medium: medium! & 0x7f, protocol: protocol! & 0x1f };
}

/** Parameters of a LAN channel (table 23-4). */
export const LAN_PARAMETER = { ipAddress: 3, macAddress: 5, subnetMask: 6, gateway: 12 } as const;

/** Get LAN Configuration Parameters (23.2). */
export interface LanParameterQuery {
  readonly channel: number;
  readonly parameter: number;
}

export function encodeLanParameterQuery({ channel, parameter }: LanParameterQuery): Uint8Array {
  return Uint8Array.of(channel, parameter, 0, 0);
}

export function decodeLanParameterQuery(data: Uint8Array): LanParameterQuery {
  const [channel, parameter] = new FieldReader(data, 'Get LAN Configuration Parameters').take(4);
  return { channel: channel! & 0x0f, parameter: parameter! };
}

/** The answer: the revision of the parameter's form, then its value. */
export function encodeLanParameter(value: Uint8Array): Uint8Array {
  return join(0x11, value);
}

/** The value. */
export function decodeLanParameter(data: Uint8Array): Uint8Array {
  const reader = new FieldReader(data, 'LAN Configuration Parameters');
  reader.byte();
  return reader.rest();
}

/** Set LAN Configuration Parameters (23.1). */
export interface LanParameter extends LanParameterQuery {
  readonly value: Uint8Array;
}

export function encodeSetLanParameter({ channel, parameter, value }: LanParameter): Uint8Array {
  return join(channel, parameter, value);
}

export function decodeSetLanParameter(data: Uint8Array): LanParameter {
  const reader = new FieldReader(data, 'Set LAN Configuration Parameters');
  const [channel, parameter] = reader.take(2);
  return { channel: channel! & 0x0f, parameter: parameter!, value: reader.rest() };
}
