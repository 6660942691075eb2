import { once } from 'node:events';
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

/** What the worker that plays machines is told. */
export interface SendOrder {
  readonly port: number;
  /** An address of loopback for each machine. */
  readonly addresses: readonly string[];
  /** Of each machine. */
  readonly lines: number;
}

const LINES_A_WRITE = 250;

/** A kernel's lines as Talos sends them, numbered from `from`. */
export function talosLines(from: number, count: number): string {
  const line = (seq: number) =>
    `{"clock":${8_576_583 + seq},"facility":"user","msg":"[talos] phase mountState (6/13): ${seq} task(s) of <init>\\n","priority":"warning","seq":${seq},"talos-level":"warn","talos-time":"2026-02-11T12:42:02.74807823Z"}\n`;
  return Array.from({ length: count }, (_, index) => line(from + index)).join('');
}

async function sendAll({ port, addresses, lines }: SendOrder): Promise<void> {
  const chunks = Array.from({ length: lines / LINES_A_WRITE }, (_, index) => Buffer.from(talosLines(index * LINES_A_WRITE, LINES_A_WRITE)));
  const machine = async (localAddress: string): Promise<void> => {
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    await once(socket, 'connect');
    for (const chunk of chunks) if (!socket.write(chunk)) await once(socket, 'drain');
    socket.end();
    await once(socket, 'close');
  };
  await Promise.all(addresses.map(machine));
}

if (parentPort) {
  await sendAll(workerData as SendOrder);
  parentPort.postMessage('sent');
}
