import type { HardwareInformation } from '@sidero/core';
import { type Random, seededRandom } from '../random.ts';

/** What is in a machine, as its SMBIOS tables and its kernel would tell. */
export interface Inventory {
  readonly firmware: 'bios' | 'uefi';
  readonly arch: 'amd64' | 'arm64';
  readonly system: {
    readonly uuid: string;
    readonly manufacturer: string;
    readonly productName: string;
    readonly version: string;
    readonly serialNumber: string;
    readonly skuNumber: string;
    readonly family: string;
  };
  readonly processors: readonly {
    readonly manufacturer: string;
    readonly productName: string;
    readonly serialNumber: string;
    readonly speedMHz: number;
    readonly coreCount: number;
    readonly threadCount: number;
  }[];
  readonly modules: readonly {
    readonly manufacturer: string;
    readonly productName: string;
    readonly serialNumber: string;
    readonly type: string;
    readonly sizeMB: number;
    readonly speedMTs: number;
  }[];
  readonly disks: readonly {
    readonly type: 'SSD' | 'HDD' | 'NVMe';
    readonly sizeBytes: number;
    readonly model: string;
    readonly serialNumber: string;
    readonly deviceName: string;
    readonly wwid: string;
  }[];
  readonly interfaces: readonly {
    readonly name: string;
    readonly mac: string;
    readonly mtu: number;
    readonly driver: string;
    readonly carrier: boolean;
    /** 0 without a link. */
    readonly speedMbps: number;
  }[];
}

// Each vendor with the form of its serial numbers and an address block that is really its own.
const VENDORS = [
  {
    manufacturer: 'Dell Inc.',
    productName: 'PowerEdge R640',
    family: 'PowerEdge',
    sku: 'SKU=0716;ModelName=PowerEdge R640',
    oui: 'b0:7b:25',
    nic: 'bnxt_en',
    serialDigits: 7,
  },
  { manufacturer: 'HPE', productName: 'ProLiant DL360 Gen10', family: 'ProLiant', sku: '867959-B21', oui: '94:40:c9', nic: 'tg3', serialDigits: 10 },
  { manufacturer: 'Supermicro', productName: 'SYS-1029U-TR4', family: 'Family', sku: '0A1C15D9', oui: '3c:ec:ef', nic: 'i40e', serialDigits: 15 },
  {
    manufacturer: 'Lenovo',
    productName: 'ThinkSystem SR630',
    family: 'ThinkSystem',
    sku: '7X02CTO1WW',
    oui: '08:94:ef',
    nic: 'i40e',
    serialDigits: 8,
  },
] as const;

const PROCESSORS = [
  { manufacturer: 'Intel(R) Corporation', productName: 'Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz', speedMHz: 2500, coreCount: 20, threadCount: 40 },
  {
    manufacturer: 'Intel(R) Corporation',
    productName: 'Intel(R) Xeon(R) Silver 4214R CPU @ 2.40GHz',
    speedMHz: 2400,
    coreCount: 12,
    threadCount: 24,
  },
  { manufacturer: 'Advanced Micro Devices, Inc.', productName: 'AMD EPYC 7302 16-Core Processor', speedMHz: 3000, coreCount: 16, threadCount: 32 },
] as const;

const MODULES = [
  { manufacturer: 'Samsung', productName: 'M393A4K40DB3-CWE', type: 'DDR4', sizeMB: 32_768, speedMTs: 3200 },
  { manufacturer: 'Micron', productName: '18ASF2G72PDZ-2G9E1', type: 'DDR4', sizeMB: 16_384, speedMTs: 2933 },
  { manufacturer: 'Hynix', productName: 'HMA84GR7CJR4N-WM', type: 'DDR4', sizeMB: 65_536, speedMTs: 2933 },
] as const;

const DISKS = [
  { type: 'SSD', sizeBytes: 480_103_981_056, model: 'SAMSUNG MZ7KH480HAHQ0D3' },
  { type: 'HDD', sizeBytes: 2_400_476_553_216, model: 'SEAGATE ST2400MM0159' },
  { type: 'NVMe', sizeBytes: 1_600_321_314_816, model: 'INTEL SSDPE2KE016T8' },
] as const;

/** Digits and capitals without the four that serial numbers avoid. */
const SERIAL_CHARACTERS = '0123456789BCDFGHJKLMNPQRSTVWXYZ'.split('');

const serial = (random: Random, length: number) => Array.from({ length }, () => random.pick(SERIAL_CHARACTERS)).join('');

/** A random UUID of version 4, lower-case. */
function uuid(random: Random): string {
  const variant = random.pick(['8', '9', 'a', 'b']);
  return `${random.hex(8)}-${random.hex(4)}-4${random.hex(3)}-${variant}${random.hex(3)}-${random.hex(12)}`;
}

/** A two-socket server that could stand in any rack; the same seed gives the same machine. UUIDs, serial numbers and MAC addresses differ between seeds. */
export function inventory(...seed: readonly (string | number)[]): Inventory {
  const random = seededRandom('inventory', ...seed);
  const vendor = random.pick(VENDORS);
  const firmware = random.chance(0.5) ? 'uefi' : 'bios';
  const processor = random.pick(PROCESSORS);
  const module = random.pick(MODULES);
  const base = random.between(0, 0xfffff0);
  return {
    firmware,
    arch: 'amd64',
    system: {
      uuid: uuid(random),
      manufacturer: vendor.manufacturer,
      productName: vendor.productName,
      version: '',
      serialNumber: serial(random, vendor.serialDigits),
      skuNumber: vendor.sku,
      family: vendor.family,
    },
    processors: [0, 1].map(() => ({ ...processor, serialNumber: random.hex(16).toUpperCase() })),
    modules: Array.from({ length: 12 }, () => ({ ...module, serialNumber: random.hex(8).toUpperCase() })),
    disks: disks(random),
    interfaces: [0, 1, 2, 3].map((index) => ({
      name: `eno${index + 1}`,
      mac: `${vendor.oui}:${(base + index)
        .toString(16)
        .padStart(6, '0')
        .replaceAll(/(..)(?=.)/g, '$1:')}`,
      mtu: 1500,
      driver: vendor.nic,
      carrier: index < 2,
      speedMbps: index < 2 ? 10_000 : 0,
    })),
  };
}

function disks(random: Random): Inventory['disks'] {
  const boot = DISKS[0];
  const data = random.pick([DISKS[1], DISKS[2]]);
  return [boot, boot, data, data, data, data].map((disk, index) => {
    const wwn = random.hex(15);
    return {
      ...disk,
      serialNumber: serial(random, 14),
      deviceName: disk.type === 'NVMe' ? `/dev/nvme${index - 2}n1` : `/dev/sd${'abcdef'[index]}`,
      wwid: disk.type === 'NVMe' ? `eui.${wwn}0` : `naa.5${wwn}`,
    };
  });
}

const GIB = 1024 ** 3;
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

/** The inventory as a Server carries it in `spec.hardware` after registration. Empty texts are left out, as everywhere in the API. */
export function hardwareInformation(machine: Inventory): HardwareInformation {
  const { processors, modules, disks: devices, interfaces } = machine;
  const { version: _empty, ...system } = machine.system;
  return {
    system,
    firmware: { bootMode: machine.firmware },
    compute: {
      totalCoreCount: sum(processors.map((p) => p.coreCount)),
      totalThreadCount: sum(processors.map((p) => p.threadCount)),
      processorCount: processors.length,
      processors: processors.map(({ speedMHz, ...processor }) => ({ ...processor, speed: speedMHz })),
    },
    memory: {
      totalSize: `${Math.floor(sum(modules.map((m) => m.sizeMB)) / 1024)} GB`,
      moduleCount: modules.length,
      modules: modules.map(({ sizeMB, speedMTs, ...module }) => ({ ...module, size: sizeMB, speed: speedMTs })),
    },
    storage: {
      totalSize: `${Math.floor(sum(devices.map((d) => d.sizeBytes)) / GIB)} GB`,
      deviceCount: devices.length,
      devices: devices.map(({ sizeBytes, model, ...disk }) => ({ ...disk, size: sizeBytes, productName: model })),
    },
    network: {
      interfaceCount: interfaces.length,
      interfaces: interfaces.map(({ speedMbps, ...nic }, index) => ({
        index: index + 2,
        flags: flags(nic.carrier),
        ...nic,
        ...(speedMbps > 0 && { speedMbps }),
      })),
    },
  };
}

/** Flags as the kernel tells them, in the order of the agent. */
export function flags(carrier: boolean): string {
  return carrier ? 'up|broadcast|multicast|running' : 'broadcast|multicast';
}
