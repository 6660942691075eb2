import type { Inventory } from './hardware.ts';

/** What is on a disk: an operating system that the machine can boot, other data, or nothing. */
export type DiskContent = 'system' | 'data' | 'nothing';

/** What is wrong with a disk: it cannot be opened, or a wipe of it never gets anywhere. */
export type DiskFault = 'unopenable' | 'stuck';

/** A disk in a simulated machine. It comes with somebody's data on it. */
export class SimulatedDisk {
  readonly facts: Inventory['disks'][number];
  readonly fault: DiskFault | undefined;
  content: DiskContent = 'data';

  constructor(facts: Inventory['disks'][number], fault?: DiskFault) {
    this.facts = facts;
    this.fault = fault;
  }

  /** Why this disk cannot be wiped by `method`; undefined when it can. */
  problemWith(method: string): string | undefined {
    if (this.fault === 'unopenable') return `${this.facts.deviceName} cannot be opened: no such device or address`;
    const isNvme = this.facts.type === 'NVMe';
    const isAble = method.startsWith('nvme-') ? isNvme : method !== 'ata-secure-erase' || !isNvme;
    return isAble ? undefined : `${this.facts.deviceName} does not know ${method}`;
  }
}
