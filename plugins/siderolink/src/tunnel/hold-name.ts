import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { failure } from '../errors.ts';
import { answers } from '../outlets/answers.ts';

const FOLDER = '/var/run/wireguard';

/**
 * Keeps another process of ours from taking the interface for a leftover, as long as this one lives: a socket that answers. Where the folder
 * cannot be written nobody can make a tunnel either, and nothing is held. @throws SIDERO_SIDEROLINK_INTERFACE_TAKEN
 */
export async function holdName(name: string): Promise<AsyncDisposable> {
  const path = `${FOLDER}/${name}.sidero`;
  if (await answers(path))
    throw failure('SIDERO_SIDEROLINK_INTERFACE_TAKEN', { interface: name, kind: 'another process of Sidero on this host has it' });
  const server = createServer((socket) => socket.destroy());
  try {
    await mkdir(FOLDER, { recursive: true, mode: 0o755 });
    await rm(path, { force: true });
    server.listen(path);
    await once(server, 'listening');
  } catch {
    return { async [Symbol.asyncDispose]() {} };
  }
  server.unref();
  return {
    async [Symbol.asyncDispose]() {
      await once(server.close(), 'close');
    },
  };
}
