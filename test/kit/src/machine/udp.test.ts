import { expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { UdpSocket } from './udp.ts';

const link = (loss = 0) => ({ address: '127.0.0.1', loss, random: seededRandom('udp') });
const never = new AbortController().signal;

test('what one machine sends, the other receives in order, with its address', async () => {
  await using one = await UdpSocket.open(link(), never);
  await using other = await UdpSocket.open(link(), never);
  one.send(Buffer.from('a'), other.port, '127.0.0.1');
  one.send(Buffer.from('b'), other.port, '127.0.0.1');
  const first = await other.receive(1000);
  expect(first?.bytes.toString()).toBe('a');
  expect(first?.from.port).toBe(one.port);
  expect((await other.receive(1000))?.bytes.toString()).toBe('b');
});

test('silence is undefined after the time-out', async () => {
  await using socket = await UdpSocket.open(link(), never);
  expect(await socket.receive(10)).toBeUndefined();
});

test('a link that loses everything delivers nothing', async () => {
  await using one = await UdpSocket.open(link(1), never);
  await using other = await UdpSocket.open(link(), never);
  one.send(Buffer.from('a'), other.port, '127.0.0.1');
  expect(await other.receive(50)).toBeUndefined();
});

test('an abort ends a wait at once', async () => {
  const abort = new AbortController();
  await using socket = await UdpSocket.open(link(), abort.signal);
  setImmediate(() => abort.abort(new Error('off')));
  await expect(socket.receive(60_000)).rejects.toThrow('off');
});
