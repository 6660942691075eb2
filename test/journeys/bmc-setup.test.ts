import { status } from '@grpc/grpc-js';
import { definePlugin, EventKind, type Plugin, type Power, type Secret, SecretKind, type Server, ServerKind } from '@sidero/core';
import { agentClient } from '@sidero/plugin-agent';
import { ipmi } from '@sidero/plugin-ipmi';
import { aServer, hardwareMessage, inventory, type TestSidero, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';
import * as z from 'zod';

const HARDWARE = inventory('fixture');
const UUID = HARDWARE.system.uuid;
const SECRET = { namespace: 'default', name: `${UUID}-bmc` };
const LOGIN = { user: 'sidero', pass: 'abcdefghijklmnop' };

/** A plane with the fixture's server, and a machine that calls it; who calls is another test's concern. */
async function aPlane(spec: Partial<Server['spec']> = {}, plugins: readonly Plugin[] = []) {
  const sidero = await testSidero({ objects: [aServer({ spec })], agent: { autoAccept: false }, site: { bootAuth: 'off' }, plugins });
  const client = agentClient({ target: `127.0.0.1:${sidero.ports.http}` });
  const register = () =>
    client.createServer({ hardware: hardwareMessage({ ...HARDWARE, disks: [] }), agentVersion: '1', capabilities: ['bmc-setup'] });
  const close = async () => {
    client[Symbol.dispose]();
    await sidero.close();
  };
  return { sidero, client, register, [Symbol.asyncDispose]: close };
}

const theBmc = async (sidero: TestSidero) => (await sidero.resources.get(ServerKind, { name: UUID }, { live: true }))?.spec?.bmc;
const theSecret = (sidero: TestSidero) => sidero.resources.get(SecretKind, SECRET, { live: true });

test('a login is asked for until it is there, and again when its Secret is lost or empty', async () => {
  await using plane = await aPlane();
  const { sidero, client, register } = plane;
  expect(await register()).toMatchObject({ setupBmc: true, bmcUser: '' });

  await client.updateBMCInfo({ uuid: UUID, bmcInfo: { ip: '10.0.9.1', port: 6230 } });
  expect(await theBmc(sidero)).toEqual({ endpoint: '10.0.9.1', port: 6230 });
  expect(await register()).toMatchObject({ setupBmc: true });

  await client.updateBMCInfo({ uuid: UUID, bmcInfo: LOGIN });
  expect(await theBmc(sidero)).toMatchObject({ endpoint: '10.0.9.1', port: 6230, passFrom: { secretKeyRef: { ...SECRET, key: 'pass' } } });
  expect(await register()).toMatchObject({ setupBmc: false });

  await sidero.resources.change<Secret>(SecretKind, SECRET, (draft) => {
    draft.data = {};
  });
  expect(await register()).toMatchObject({ setupBmc: true });
  await client.updateBMCInfo({ uuid: UUID, bmcInfo: LOGIN });
  expect(await register()).toMatchObject({ setupBmc: false });

  await sidero.resources.remove(SecretKind, SECRET);
  expect(await register()).toMatchObject({ setupBmc: true });
});

test('the Server has an Event when something of its BMC is new, and only then', async () => {
  await using plane = await aPlane();
  const { sidero, client } = plane;
  const updates = async () => {
    const events = await sidero.resources.list(EventKind, {}, { live: true });
    return events.flatMap((event) => (event.reason === 'BMC Update' ? [`${event.message} ${event.count ?? 1}`] : []));
  };
  const tell = (bmcInfo: object) => client.updateBMCInfo({ uuid: UUID, bmcInfo });
  await tell({ ip: '10.0.9.1', port: 623 });
  await expect.poll(updates).toEqual(['BMC info updated via API. 1']);
  await tell({ ip: '10.0.9.1', port: 623 });
  await tell({ ip: '10.0.9.1', port: 623, ...LOGIN });
  await expect.poll(updates).toEqual(['BMC info updated via API. 2']);
});

test('nobody has its power before the login is there: a machine that is still at work is not switched off', async () => {
  let power: Power | undefined;
  const watching = definePlugin({
    name: 'watching',
    options: z.strictObject({}),
    setup: (site) => void (power = site.power),
  });
  await using plane = await aPlane({}, [ipmi(), watching()]);
  const { sidero, client } = plane;
  const drivers = async () => power?.drivers((await sidero.resources.get(ServerKind, { name: UUID }, { live: true }))!);
  const address = { ip: '127.0.0.1', port: 9 };
  await client.updateBMCInfo({ uuid: UUID, bmcInfo: address });
  expect(await drivers()).toEqual([]);
  await client.updateBMCInfo({ uuid: UUID, bmcInfo: { ...address, ...LOGIN } });
  expect(await drivers()).toEqual(['ipmi']);
});

test('a Server that names a user gets that user, and no other', async () => {
  await using plane = await aPlane({ bmc: { endpoint: 'bmc1.example.com', port: 7000, user: 'ops' } });
  const { sidero, client, register } = plane;
  expect(await register()).toMatchObject({ setupBmc: true, bmcUser: 'ops' });
  await client.updateBMCInfo({ uuid: UUID, bmcInfo: { ip: '10.0.9.1', port: 623, ...LOGIN, user: 'ops' } });
  expect(await theBmc(sidero)).toMatchObject({ endpoint: 'bmc1.example.com', port: 7000, user: 'ops' });
  expect(await register()).toMatchObject({ setupBmc: false });
});

test('the machine of a server that is not accepted cannot tell of its BMC', async () => {
  await using plane = await aPlane({ accepted: false });
  const { sidero, client, register } = plane;
  expect(await register()).toMatchObject({ accepted: false, setupBmc: false });
  const told = client.updateBMCInfo({ uuid: UUID, bmcInfo: { ip: '10.0.9.1', ...LOGIN } });
  await expect(told).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    details: expect.stringMatching(/^SIDERO_AGENT_NOT_ACCEPTED: (?!.*abcdef)/),
  });
  expect(await theBmc(sidero)).toBeUndefined();
  expect(await theSecret(sidero)).toBeUndefined();
});
