/** A process of its own with many BMCs, some of them dead: bound, and silent for ever. Prints their ports as JSON. Ends with its input. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { startIpmiBmc } from '@sidero/testing/bmc';

const { values } = parseArgs({ options: { count: { type: 'string', default: '1' }, dead: { type: 'string', default: '0' } } });
const count = Number(values.count);
const dead = Number(values.dead);

/** Evenly spread: every n-th is dead. */
const isDead = (index: number) => dead > 0 && Math.floor(((index + 1) * dead) / count) > Math.floor((index * dead) / count);

const ports: { port: number; isDead: boolean }[] = [];
for (let index = 0; index < count; index++) {
  ports.push(isDead(index) ? { port: await silence(), isDead: true } : { port: (await startIpmiBmc({ seed: `bmc-${index}` })).port, isDead: false });
}
process.stdout.write(`${JSON.stringify(ports)}\n`);
process.stdin.resume().on('end', () => process.exit(0));

async function silence(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket.address().port;
}
