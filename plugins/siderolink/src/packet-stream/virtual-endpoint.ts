import { bytesOf, textOf, VIRTUAL_PREFIX, withoutPrefix } from '../installation/network.ts';

/** UDP port that endpoints in streams pretend to have. */
const VIRTUAL_PORT = 50_888;

/**
 * Where a machine that sends its packets in a stream seems to be, `[host]:port`: its own address under another prefix, so that any replica
 * knows it from the ServerBinding. Undefined for an address of the loopback tunnel.
 */
export function virtualEndpoint(address: string): string | undefined {
  const bytes = bytesOf(withoutPrefix(address));
  return bytes?.length === 16 ? `[${textOf([...VIRTUAL_PREFIX, ...bytes.slice(8)])}]:${VIRTUAL_PORT}` : undefined;
}

/** The machine's address in the tunnel, of which `subnet` is the beginning; undefined for what is no such endpoint. */
export function machineOfVirtual(endpoint: string, subnet: string): string | undefined {
  const host = /^\[([0-9a-f:.]+)\]:\d{1,5}$/i.exec(endpoint)?.[1];
  const bytes = host ? bytesOf(host) : undefined;
  const prefix = bytesOf(withoutPrefix(subnet));
  if (bytes?.length !== 16 || prefix?.length !== 16 || !VIRTUAL_PREFIX.every((byte, index) => bytes[index] === byte)) return undefined;
  return textOf([...prefix.slice(0, 8), ...bytes.slice(8)]);
}
