import type { WipeMethod, WipePlan } from '../hooks.ts';

/** What tells disks apart. Empty and absent are both "not known". */
export interface DiskNames {
  readonly deviceName?: string | undefined;
  readonly serial?: string | undefined;
  readonly wwn?: string | undefined;
}

/** What a plan does to one disk. */
export interface DiskOrder {
  readonly method: WipeMethod | 'keep';
  /** Empty when no rule names the disk. */
  readonly reason: string;
}

/** What a plan does to a disk: the first rule that fits it, else the method for all others. Case and prefixes (`naa.`, `0x`) do not count. */
export function orderFor(plan: WipePlan, disk: DiskNames): DiskOrder {
  const rule = plan.disks.find((one) => ruleFits(one, disk));
  return rule ? { method: rule.method, reason: rule.reason } : { method: plan.method, reason: '' };
}

/** Whether a rule names that disk; one with both names must fit in both, one with neither fits none. */
export function ruleFits(rule: { readonly serial?: string | undefined; readonly wwn?: string | undefined }, disk: DiskNames): boolean {
  const [serial, wwn] = [plainName(rule.serial), plainWwn(rule.wwn)];
  if (serial === '' && wwn === '') return false;
  return (serial === '' || serial === plainName(disk.serial)) && (wwn === '' || wwn === plainWwn(disk.wwn));
}

/** Whether both name the same disk: by world wide name, else by serial number, else by device, as device names move between boots. */
export function isSameDisk(one: DiskNames, other: DiskNames): boolean {
  for (const name of [(disk: DiskNames) => plainWwn(disk.wwn), (disk: DiskNames) => plainName(disk.serial)]) {
    const [mine, theirs] = [name(one), name(other)];
    if (mine !== '' && theirs !== '') return mine === theirs;
  }
  return (one.deviceName ?? '') !== '' && one.deviceName === other.deviceName;
}

function plainName(name: string | undefined): string {
  return (name ?? '').trim().toLowerCase();
}

// Linux writes naa.5000…, eui.0025…; lsblk, labels and people write 0x5000… or 5000….
function plainWwn(wwn: string | undefined): string {
  return plainName(wwn).replace(/^(wwn-)?(naa\.|eui\.)?(0x)?/, '');
}
