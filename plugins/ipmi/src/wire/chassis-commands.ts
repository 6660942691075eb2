import { FieldReader, join } from './bytes.ts';

/** Chassis Control (28.3): its data is one of these bytes. */
export const CHASSIS_CONTROL = { off: 0x00, on: 0x01, cycle: 0x02, reset: 0x03, softOff: 0x05 } as const;

const POWER_IS_ON = 0x01;
const POWER_FAULT = 0x08;
const POWER_CONTROL_FAULT = 0x10;

/** Get Chassis Status (28.2), what we look at. */
export interface ChassisStatus {
  readonly isOn: boolean;
  readonly hasPowerFault: boolean;
  readonly hasControlFault: boolean;
}

export function encodeChassisStatus({ isOn, hasPowerFault, hasControlFault }: ChassisStatus): Uint8Array {
  const state = (isOn ? POWER_IS_ON : 0) | (hasPowerFault ? POWER_FAULT : 0) | (hasControlFault ? POWER_CONTROL_FAULT : 0);
  return Uint8Array.of(state, 0, 0);
}

/** @throws SIDERO_IPMI_MALFORMED, as all decoders here */
export function decodeChassisStatus(data: Uint8Array): ChassisStatus {
  const [state] = new FieldReader(data, 'Chassis Status').take(3);
  return {
    isOn: (state! & POWER_IS_ON) !== 0,
    hasPowerFault: (state! & POWER_FAULT) !== 0,
    hasControlFault: (state! & POWER_CONTROL_FAULT) !== 0,
  };
}

/** Parameters of the boot options (table 28-14). */
export const BOOT_PARAMETER = { setInProgress: 0, validBitClearing: 3, acknowledge: 4, flags: 5 } as const;

/** Values of the parameter `setInProgress`. */
export const SET_IN_PROGRESS = { complete: 0, inProgress: 1, commit: 2 } as const;

/** Bits of the parameter `validBitClearing`: each keeps the boot flags valid where they would be forgotten. */
export const KEEP_BOOT_FLAGS = { onPowerButton: 0x01, onReset: 0x02, onWatchdog: 0x04, onTimeout: 0x08, onPef: 0x10 } as const;

/** Completion codes of Set System Boot Options (28.12). */
export const BOOT_OPTION_REFUSED = { notSupported: 0x80, alreadyInProgress: 0x81, readOnly: 0x82 } as const;

/** Set System Boot Options (28.12); data without the parameter number. */
export interface BootOption {
  readonly parameter: number;
  readonly value: Uint8Array;
}

export function encodeBootOption({ parameter, value }: BootOption): Uint8Array {
  return join(parameter, value);
}

export function decodeBootOption(data: Uint8Array): BootOption {
  const reader = new FieldReader(data, 'Set System Boot Options');
  return { parameter: reader.byte() & 0x7f, value: reader.rest() };
}

/** Get System Boot Options (28.13). */
export function encodeBootOptionQuery(parameter: number): Uint8Array {
  return Uint8Array.of(parameter, 0, 0);
}

/** The parameter's number. */
export function decodeBootOptionQuery(data: Uint8Array): number {
  return new FieldReader(data, 'Get System Boot Options').take(3)[0]! & 0x7f;
}

/** The answer to Get System Boot Options. */
export interface BootOptionValue extends BootOption {
  /** The BMC says that the parameter means nothing now. */
  readonly isInvalid: boolean;
}

export function encodeBootOptionValue({ parameter, isInvalid, value }: BootOptionValue): Uint8Array {
  return join(1, parameter | (isInvalid ? 0x80 : 0), value);
}

export function decodeBootOptionValue(data: Uint8Array): BootOptionValue {
  const reader = new FieldReader(data, 'System Boot Options');
  const [, parameter] = reader.take(2);
  return { parameter: parameter! & 0x7f, isInvalid: (parameter! & 0x80) !== 0, value: reader.rest() };
}

/** Boot devices, as the number in the boot flags. */
export const BOOT_DEVICE = { none: 0, pxe: 1, disk: 2, safeDisk: 3, diagnostics: 4, cd: 5, setup: 6 } as const;

const FLAGS_VALID = 0x80;
const FLAGS_PERSISTENT = 0x40;
const FLAGS_UEFI = 0x20;

/** The boot flags: value of parameter 5. */
export interface BootFlags {
  readonly isValid: boolean;
  /** For all boots, not only the next. */
  readonly isPersistent: boolean;
  readonly isUefi: boolean;
  /** 0 to 15; see BOOT_DEVICE. */
  readonly device: number;
}

/** Five bytes. */
export function encodeBootFlags({ isValid, isPersistent, isUefi, device }: BootFlags): Uint8Array {
  const flags = (isValid ? FLAGS_VALID : 0) | (isPersistent ? FLAGS_PERSISTENT : 0) | (isUefi ? FLAGS_UEFI : 0);
  return Uint8Array.of(flags, (device & 0x0f) << 2, 0, 0, 0);
}

export function decodeBootFlags(value: Uint8Array): BootFlags {
  const [flags, device] = new FieldReader(value, 'boot flags').take(2);
  return {
    isValid: (flags! & FLAGS_VALID) !== 0,
    isPersistent: (flags! & FLAGS_PERSISTENT) !== 0,
    isUefi: (flags! & FLAGS_UEFI) !== 0,
    device: (device! >> 2) & 0x0f,
  };
}
