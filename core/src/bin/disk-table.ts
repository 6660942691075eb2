import type { DiskRecord, WipeRecord } from '../resources/kinds.ts';
import { inColumns } from './in-columns.ts';

/** A plan of a wipe for people: a line a disk, in columns. */
export function diskTable({ method, disks }: WipeRecord): readonly string[] {
  if (!disks?.length) return [`every disk: ${method ?? 'as the machine is told'}`];
  const rows = disks.map((disk) => [
    nameOf(disk),
    disk.serial ?? disk.wwn ?? '-',
    sizeOf(disk.sizeBytes) || '-',
    disk.method ?? method ?? '-',
    disk.reason ?? '',
  ]);
  return inColumns([['DISK', 'SERIAL', 'SIZE', 'METHOD', 'REASON'], ...rows]);
}

function nameOf({ deviceName, serial, wwn }: DiskRecord): string {
  return deviceName ?? serial ?? wwn ?? 'disk';
}

/** "480 GB"; empty when it is not known. */
export function sizeOf(sizeBytes: number | undefined): string {
  if (sizeBytes === undefined) return '';
  const [unit, bytes] = sizeBytes >= 1e12 ? ['TB', 1e12] : sizeBytes >= 1e9 ? ['GB', 1e9] : (['MB', 1e6] as const);
  return `${Number((sizeBytes / Number(bytes)).toPrecision(3))} ${unit}`;
}
