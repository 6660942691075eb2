import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Server } from '@sidero/core';
import { afterEach, describe, expect, test } from 'vitest';
import { WAKE_ANNOTATION, wakeOnLanDriver } from './driver.ts';
import { isMac, magicPacket } from './magic-packet.ts';

const sockets: Socket[] = [];
afterEach(() => sockets.splice(0).forEach((socket) => socket.close()));

/** A card on loopback: all that reaches it. */
async function aCard(address = '127.0.0.1'): Promise<{ readonly port: number; readonly heard: string[] }> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  sockets.push(socket);
  const heard: string[] = [];
  socket.on('message', (message) => heard.push(message.toString('hex')));
  socket.bind(0, address);
  await once(socket, 'listening');
  return { port: socket.address().port, heard };
}

function aServer(wish: string | undefined, macs: readonly string[] = []): Server {
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name: 'a', ...(wish !== undefined && { annotations: { [WAKE_ANNOTATION]: wish } }) },
    spec: { accepted: true, hardware: { network: { interfaces: macs.map((mac) => ({ mac })) } } },
  };
}

async function turnOn(server: Server, to: { broadcast: string[]; port: number }, signal = new AbortController().signal) {
  await using session = await wakeOnLanDriver(to).open(server, { login: undefined, signal });
  await session.on(signal);
}

test('a magic packet is six bytes of ones and the address sixteen times', () => {
  const packet = magicPacket('02:00:5E:00-53-af').toString('hex');
  expect(packet).toBe(`ffffffffffff${'02005e0053af'.repeat(16)}`);
});

test.each(['', 'true', '02:00:00:00:00', '02:00:00:00:00:0g', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '02:00:00:00:00:01:02'])(
  '"%s" is no address of a card',
  (text) => expect(isMac(text)).toBe(false),
);

describe('on', () => {
  test.each(['127.0.0.1', '::1'])('wakes the card that the annotation names, over %s', async (address) => {
    const card = await aCard(address);
    await turnOn(aServer('02:00:00:00:00:01'), { broadcast: [address], port: card.port });
    await expect.poll(() => card.heard).toHaveLength(3);
    expect(new Set(card.heard)).toEqual(new Set([magicPacket('02:00:00:00:00:01').toString('hex')]));
  });

  test('wakes every card that is named, on every address', async () => {
    const card = await aCard('0.0.0.0');
    await turnOn(aServer('02:00:00:00:00:01, 02-00-00-00-00-02'), { broadcast: ['127.0.0.1', '127.0.0.2'], port: card.port });
    await expect.poll(() => card.heard).toHaveLength(12);
    expect(new Set(card.heard).size).toBe(2);
  });

  test('wakes every card that the machine reported, when the annotation is "true"', async () => {
    const card = await aCard();
    await turnOn(aServer('true', ['02:00:00:00:00:01', '', '02:00:00:00:00:03']), { broadcast: ['127.0.0.1'], port: card.port });
    await expect.poll(() => card.heard).toHaveLength(6);
    expect(new Set(card.heard)).toEqual(new Set(['02:00:00:00:00:01', '02:00:00:00:00:03'].map((mac) => magicPacket(mac).toString('hex'))));
  });

  test('ends with the reason of its signal', async () => {
    const reason = new Error('enough');
    await expect(turnOn(aServer('02:00:00:00:00:01'), { broadcast: ['127.0.0.1'], port: 9 }, AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test('a packet that cannot be sent is SIDERO_BMC_UNREACHABLE', async () => {
    // The name of no host, ever, for which no resolver is asked: this host's may be slow, or away.
    const sent = turnOn(aServer('02:00:00:00:00:01'), { broadcast: ['nowhere..invalid'], port: 9 });
    await expect(sent).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
  });
});

describe('a Server', () => {
  const driver = wakeOnLanDriver({ broadcast: ['127.0.0.1'], port: 9 });

  test.each([
    [undefined, false],
    ['', false],
    ['false', false],
    ['true', true],
    ['02:00:00:00:00:01', true],
  ])('with the annotation %s is claimed: %s', (wish, isClaimed) => expect(driver.claims(aServer(wish))).toBe(isClaimed));

  test.each([
    ['yes', '"yes" is neither a MAC address nor "true"'],
    ['02:00:00:00:00:01,', '"" is neither'],
    ['true', 'reported no card'],
  ])('with the annotation %s is told what is wrong with it', async (wish, problem) => {
    const opened = driver.open(aServer(wish), { login: undefined, signal: new AbortController().signal });
    await expect(opened).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED', message: expect.stringContaining(problem) });
  });

  test('offers nothing but on', async () => {
    const session = await driver.open(aServer('02:00:00:00:00:01'), { login: undefined, signal: new AbortController().signal });
    expect(Object.keys(session)).toEqual(['on']);
  });
});
