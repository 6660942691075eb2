import type { BootDevice, BootOverride } from './chassis.ts';

/** Boot flags that order nothing. */
export const NO_FLAGS = new Uint8Array(5);

const VALID = 0x80;
const PERSISTENT = 0x40;
const EFI = 0x20;

/** Device selectors of the boot flags (IPMI 2.0, table 28-14, parameter 5), second byte, bits 2 to 5. */
const SELECTORS: Readonly<Record<BootDevice, number>> = { normal: 0, network: 1, disk: 2, cd: 5, setup: 6 };

/** The bits of the first byte. */
export function decodeFlags([flags = 0]: Uint8Array): { readonly isValid: boolean; readonly isPersistent: boolean } {
  return { isValid: (flags & VALID) !== 0, isPersistent: (flags & PERSISTENT) !== 0 };
}

/** What five bytes of boot flags order. */
export function overrideOf(flags: Uint8Array): BootOverride {
  const [first = 0, second = 0] = flags;
  const { isValid, isPersistent } = decodeFlags(flags);
  const device = (Object.keys(SELECTORS) as BootDevice[]).find((name) => SELECTORS[name] === ((second >> 2) & 0x0f));
  if (!isValid || !device) return { device: 'normal', isPersistent: false };
  return { device, mode: first & EFI ? 'uefi' : 'bios', isPersistent };
}

/** The five bytes that order it. */
export function flagsOf({ device, mode, isPersistent }: BootOverride): Uint8Array {
  return Uint8Array.of(VALID | (isPersistent ? PERSISTENT : 0) | (mode === 'uefi' ? EFI : 0), SELECTORS[device] << 2, 0, 0, 0);
}
