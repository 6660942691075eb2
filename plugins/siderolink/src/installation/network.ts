import { createHash, randomBytes } from 'node:crypto';
import ipaddr from 'ipaddr.js';

/** The addresses of one installation: which are machines', and new ones for them. */
export interface LinkNetwork {
  /** `fdae:2859:5bb1:7a03::/64`. */
  readonly subnet: string;
  /** Of the server, without prefix length. */
  readonly server: string;
  /** Prefix length of addresses. */
  readonly prefixLength: number;
  /** Whether an address, without prefix length and in any spelling, may be a machine's. */
  isMachine(address: string): boolean;
  /** An address with prefix length for the machine `uuid`; `attempt` counts from 0, each gives another one. */
  newAddress(uuid: string, attempt: number): string;
}

/** The subnet of an installation: the end of the SHA-256 of its id, made a unique local address whose 8th byte says SideroLink. */
export function subnetOf(installationId: string): string {
  return `${textOf([...prefixOf(installationId, 0x03), 0, 0, 0, 0, 0, 0, 0, 0])}/64`;
}

/** Where machines whose packets come in a stream seem to be; the same in every installation. */
export const VIRTUAL_PREFIX: readonly number[] = prefixOf('', 0x04);

function prefixOf(installationId: string, purpose: number): readonly number[] {
  const bytes = createHash('sha256').update(installationId, 'utf8').digest().subarray(16, 24);
  bytes[0] = 0xfd;
  bytes[7] = purpose;
  return [...bytes];
}

/** The network of the tunnel. `random` gives 8 bytes. */
export function tunnelNetwork(installationId: string, random: () => Uint8Array = () => randomBytes(8)): LinkNetwork {
  const prefix = prefixOf(installationId, 0x03);
  const server = textOf([...prefix, 0, 0, 0, 0, 0, 0, 0, 1]);
  const isMachine = (address: string): boolean => {
    const bytes = bytesOf(address);
    if (bytes?.length !== 16 || !prefix.every((byte, index) => bytes[index] === byte)) return false;
    // The subnet itself and the server are nobody's.
    return bytes.slice(8, 15).some((byte) => byte !== 0) || bytes[15]! > 1;
  };
  return {
    subnet: subnetOf(installationId),
    server,
    prefixLength: 64,
    isMachine,
    newAddress() {
      for (;;) {
        const address = nodeAddress(installationId, random());
        if (isMachine(withoutPrefix(address))) return address;
      }
    },
  };
}

/** The address with prefix length that 8 bytes make. */
export function nodeAddress(installationId: string, random: Uint8Array): string {
  return `${textOf([...prefixOf(installationId, 0x03), ...random])}/64`;
}

/** Addresses of demos on one machine: 127.128.0.0/9, which the UUID chooses from. */
export function loopbackNetwork(): LinkNetwork {
  const isMachine = (address: string): boolean => {
    const bytes = bytesOf(address);
    return bytes?.length === 4 && bytes[0] === 127 && bytes[1]! >= 128 && bytes[3]! > 0 && bytes[3]! < 255;
  };
  return {
    subnet: '127.128.0.0/9',
    server: '127.0.0.1',
    prefixLength: 32,
    isMachine,
    newAddress(uuid, attempt) {
      const [a, b, c] = createHash('sha256').update(`${uuid} ${attempt}`).digest();
      return `127.${128 + (a! & 127)}.${b!}.${1 + (c! % 254)}/32`;
    },
  };
}

/** `fd00::1/64` → `fd00::1`. */
export function withoutPrefix(address: string): string {
  return address.replace(/\/\d+$/, '');
}

/** One spelling for every address; undefined for what is none. */
export function canonicalAddress(address: string): string | undefined {
  const bytes = bytesOf(address);
  return bytes && textOf(bytes);
}

/** The bytes of an address; undefined for what is none. */
export function bytesOf(address: string): readonly number[] | undefined {
  if (address.includes('%') || !ipaddr.isValid(address)) return undefined;
  return ipaddr.parse(address).toByteArray();
}

/** An address of these bytes, as RFC 5952 writes it. */
export function textOf(bytes: readonly number[]): string {
  const address = ipaddr.fromByteArray([...bytes]);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

/** `[fd00::1]:4001`, `127.0.0.1:4001`. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
