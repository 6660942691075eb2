import type { MessageInitShape } from '@bufbuild/protobuf';
import { type StorageDeviceSchema, type StorageInformationSchema, StorageType } from '@sidero/plugin-agent/protocol';
import type { Machine } from './machine.ts';

/** A disk as it is told; every text is there, if empty. */
type Disk = MessageInitShape<typeof StorageDeviceSchema> & { readonly size: bigint } & Readonly<Record<'deviceName' | 'serial' | 'wwid', string>>;

// Not disks of the machine: SCSI generic, CD drives, loops, what is built out of disks or memory, disks behind a network, the boot areas
// of eMMC, and the single paths of a multipath NVMe disk.
const NOT_A_DISK = /^(sg|sr|loop|md|dm-|z?ram|nbd|fd)|^mmcblk\d+(boot|rpmb)|^nvme\d+c\d+n/;
const SECTOR_BYTES = 512n;

/** The machine's disks, in the kernel's order; those without a size (no medium) are left out. */
export function storageFacts(machine: Machine): MessageInitShape<typeof StorageInformationSchema> {
  const devices = diskNames(machine)
    .map((name) => diskFacts(machine, name))
    .filter(({ size }) => size > 0n);
  return { devices, deviceCount: devices.length, totalSize: devices.reduce((total, { size }) => total + size, 0n) };
}

/** The kernel's names of the machine's disks: `sda`. */
export function diskNames(machine: Machine): readonly string[] {
  return machine.list('/sys/block').filter((name) => !NOT_A_DISK.test(name));
}

/** What a disk says of itself. */
export function diskFacts(machine: Machine, name: string): Disk {
  const folder = `/sys/block/${name}`;
  const either = (file: string) => machine.text(`${folder}/${file}`) || machine.text(`${folder}/device/${file}`) || '';
  const sectors = machine.text(`${folder}/size`) ?? '';
  return {
    type: typeOf(name, machine.text(`${folder}/queue/rotational`)),
    size: /^\d+$/.test(sectors) ? BigInt(sectors) * SECTOR_BYTES : 0n,
    model: machine.text(`${folder}/device/model`) ?? '',
    // SCSI and SATA disks keep their serial number in a vital product data page.
    serial: either('serial') || serialOfPage80(machine.bytes(`${folder}/device/vpd_pg80`)),
    name: machine.text(`${folder}/device/name`) ?? '',
    // sysfs has no slashes in names: cciss!c0d0 is /dev/cciss/c0d0.
    deviceName: `/dev/${name.replaceAll('!', '/')}`,
    uuid: either('uuid'),
    wwid: either('wwid'),
  };
}

function typeOf(name: string, rotational: string | undefined): StorageType {
  if (name.includes('nvme')) return StorageType.NVMe;
  if (name.includes('mmc')) return StorageType.SD;
  if (rotational === '1') return StorageType.HDD;
  return rotational === '0' ? StorageType.SSD : StorageType.Unknown;
}

/** The unit serial number of SCSI's page 0x80 (SPC-4, 7.8.13): four bytes of header, then ASCII. */
export function serialOfPage80(page: Uint8Array | undefined): string {
  if (!page || page[1] !== 0x80) return '';
  const length = ((page[2] ?? 0) << 8) | (page[3] ?? 0);
  const text = Buffer.from(page.subarray(4, 4 + length)).toString('latin1');
  return text.replaceAll(/[^\x20-\x7e]/g, '').trim();
}
