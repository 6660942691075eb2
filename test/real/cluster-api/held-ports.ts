import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Ports of 127.0.0.1 that nobody else gets: not as a listener, and not for a connection of his. */
export interface HeldPorts {
  readonly ports: readonly number[];
  /** To be called right before somebody is to listen on them. */
  letGo(): Promise<void>;
}

/** Holds ports whose numbers must be known long before their programs start. */
export async function holdPorts(count: number): Promise<HeldPorts> {
  const servers = Array.from({ length: count }, () => createServer((socket) => socket.destroy()).listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  return {
    ports,
    letGo: async () => void (await Promise.all(servers.filter(({ listening }) => listening).map((server) => once(server.close(), 'close')))),
  };
}
