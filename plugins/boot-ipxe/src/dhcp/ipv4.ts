/** An IPv4 address as its 32 bits. The text must be a valid address. */
export function toBits(address: string): number {
  return address.split('.').reduce((bits, byte) => bits * 256 + Number(byte), 0);
}

export function fromBits(bits: number): string {
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

/** An IPv4 network, as an interface has it. */
export interface Subnet {
  /** Our address in it. */
  readonly address: string;
  readonly netmask: string;
}

/** Whether the address is one of a host of that network. */
export function contains({ address, netmask }: Subnet, other: string): boolean {
  return (
    masked(other, netmask) === masked(address, netmask) && other !== broadcastOf({ address, netmask }) && toBits(other) !== masked(address, netmask)
  );
}

export function broadcastOf({ address, netmask }: Subnet): string {
  return fromBits((toBits(address) | ~toBits(netmask)) >>> 0);
}

function masked(address: string, netmask: string): number {
  return (toBits(address) & toBits(netmask)) >>> 0;
}
