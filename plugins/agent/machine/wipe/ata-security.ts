import type { AtaCommand, BlockDevice } from './block-device.ts';

/** What a disk says of its security feature set (ACS-3, 7.12.7: words 82, 85, 89, 90, 128). */
export interface AtaSecurity {
  readonly isSupported: boolean;
  /** A password is set. */
  readonly isEnabled: boolean;
  readonly isLocked: boolean;
  /** Until the next power cycle the disk takes no security command; firmware does that at every start. */
  readonly isFrozen: boolean;
  readonly hasEnhancedErase: boolean;
  /** How long the disk says that it takes; undefined when it does not. */
  readonly eraseMs: number | undefined;
}

const MINUTE_MS = 60_000;

/** From the answer to IDENTIFY DEVICE. */
export function ataSecurity(identify: Uint8Array): AtaSecurity {
  const bytes = Buffer.from(identify);
  const word = (index: number) => bytes.readUInt16LE(index * 2);
  const bit = (index: number, at: number) => ((word(index) >> at) & 1) === 1;
  const hasEnhancedErase = bit(128, 5);
  return {
    isSupported: bit(82, 1) && bit(128, 0),
    isEnabled: bit(128, 1),
    isLocked: bit(128, 2),
    isFrozen: bit(128, 3),
    hasEnhancedErase,
    eraseMs: eraseMs(word(hasEnhancedErase ? 90 : 89)),
  };
}

// In steps of two minutes: 8 bits of them, or 15 when bit 15 says so. The highest value means "longer".
function eraseMs(word: number): number | undefined {
  const [steps, most] = word & 0x8000 ? [word & 0x7fff, 0x7fff] : [word & 0xff, 0xff];
  return steps === 0 || steps === most ? undefined : steps * 2 * MINUTE_MS;
}

/** What keeps a disk from being erased, as a clause with what to do; undefined when nothing does. */
export function obstacleTo({ isSupported, isEnabled, isLocked, isFrozen }: AtaSecurity): string | undefined {
  if (!isSupported) return 'the disk knows no ATA security commands';
  if (isLocked) return 'the disk is locked by a password that is not ours; unlock it with that password';
  if (isEnabled) return 'the disk has a password that is not ours; take it off with that password';
  if (isFrozen) return 'the firmware has frozen the security commands of the disk; switch that off in the firmware setup, or choose another method';
  return undefined;
}

const IDENTIFY: AtaCommand = { command: 0xec, receives: true };
const PREPARE: AtaCommand = { command: 0xf3 };
/** In the README: it protects nothing, the disk wants one for the time of the erase. */
const PASSWORD = 'sidero';

/** A sector with the password, as all commands below send it; bit 1 of its first word asks for the enhanced erase. */
function passwordSector(firstWord = 0): Uint8Array {
  const sector = Buffer.alloc(512);
  sector.writeUInt16LE(firstWord, 0);
  sector.write(PASSWORD, 2, 'latin1');
  return sector;
}

const setPassword = (): AtaCommand => ({ command: 0xf1, sends: passwordSector() });
const unlock = (): AtaCommand => ({ command: 0xf2, sends: passwordSector() });
const disablePassword = (): AtaCommand => ({ command: 0xf6, sends: passwordSector() });
const eraseUnit = ({ hasEnhancedErase, eraseMs: expectedMs = 12 * 60 * MINUTE_MS }: AtaSecurity): AtaCommand => ({
  command: 0xf4,
  sends: passwordSector(hasEnhancedErase ? 2 : 0),
  timeoutMs: expectedMs * 2 + 60 * MINUTE_MS,
});

/**
 * Erases a disk by its own means: sets a password, which the erase takes off again. Whatever goes wrong, the disk is left without one
 * if it can be.
 * @throws Error that says what the disk did
 */
export async function secureErase(device: BlockDevice, security: AtaSecurity): Promise<void> {
  await device.ata(setPassword());
  try {
    await device.ata(PREPARE);
    await device.ata(eraseUnit(security));
  } catch (thrown) {
    throw new Error(`${messageOf(thrown)}; ${await withoutPassword(device)}`, { cause: thrown });
  }
  const { isEnabled } = ataSecurity(await device.ata(IDENTIFY));
  if (isEnabled) throw new Error(`the disk says that it was erased, and still has a password; ${await withoutPassword(device)}`);
}

/** What the disk says of itself, once a password that an erase of ours left behind, when the power was cut, is taken off. One try: disks count them. */
export async function securityOf(device: BlockDevice): Promise<AtaSecurity> {
  const security = ataSecurity(await device.ata(IDENTIFY));
  if (!security.isEnabled || security.isFrozen) return security;
  await withoutPassword(device);
  return ataSecurity(await device.ata(IDENTIFY));
}

/** Takes our password off; says how that went. */
async function withoutPassword(device: BlockDevice): Promise<string> {
  try {
    if (ataSecurity(await device.ata(IDENTIFY)).isLocked) await device.ata(unlock());
    await device.ata(disablePassword());
    return 'its password was taken off again';
  } catch (thrown) {
    return `the password for the time of the erase (see the README) could not be taken off: ${messageOf(thrown)}`;
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
