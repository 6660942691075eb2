import { ServerKind } from '@sidero/core';
import { status } from '@grpc/grpc-js';
import { agentClient } from '@sidero/plugin-agent';
import { aServer, hardwareMessage, inventory, type TestSidero, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';

const YEAR_MS = 365 * 86_400_000;
const HARDWARE = inventory('fixture');
const UUID = HARDWARE.system.uuid;

const connect = (sidero: TestSidero, token?: string) => agentClient({ target: `127.0.0.1:${sidero.ports.http}`, token });

/** The token that a network boot of `uuid` is handed. */
async function bootToken(sidero: TestSidero, uuid: string, address = '127.0.0.1'): Promise<string> {
  const plan = await sidero.lifecycle.boot({ uuid, mac: '', arch: 'amd64', address });
  const token = 'args' in plan ? plan.args.find((arg) => arg.startsWith('sidero.token='))?.slice('sidero.token='.length) : undefined;
  if (!token) throw new Error(`no token in ${JSON.stringify(plan)}`);
  return token;
}

const theServer = (sidero: TestSidero) => sidero.resources.get(ServerKind, { name: UUID }, { live: true });

/** Every call that changes something, made for the fixture's server. */
function everyCall(client: ReturnType<typeof connect>) {
  return {
    createServer: client.createServer({ hardware: hardwareMessage({ ...HARDWARE, disks: [] }), hostname: 'evil' }),
    reconcileServerAddresses: client.reconcileServerAddresses({ uuid: UUID, address: [{ type: 'InternalIP', address: '6.6.6.6' }] }),
    markServerAsWiped: client.markServerAsWiped({ uuid: UUID }),
    heartbeat: client.heartbeat({ uuid: UUID }),
    updateBMCInfo: client.updateBMCInfo({ uuid: UUID, bmcInfo: { ip: '6.6.6.6', user: 'evil', pass: 'evil' } }),
  };
}

async function expectNothingDone(sidero: TestSidero, token: string | undefined): Promise<void> {
  const before = await theServer(sidero);
  using client = connect(sidero, token);
  for (const [name, call] of Object.entries(everyCall(client))) {
    await expect(call, name).rejects.toMatchObject({
      code: expect.toSatisfy((code) => [status.UNAUTHENTICATED, status.PERMISSION_DENIED].includes(code)),
    });
  }
  const after = await theServer(sidero);
  expect(after?.spec).toEqual(before?.spec);
  // What the loop says of the server by itself is none of the stranger's doing.
  const said = (server: typeof after) => ({ ...server?.status, boot: undefined, power: undefined, ready: undefined, step: undefined });
  expect(said(after)).toEqual(said(before));
}

const dirty = () => aServer({ status: { isClean: false } });

test('without a token nobody changes a Server', async () => {
  await using sidero = await testSidero({ objects: [dirty()] });
  await expectNothingDone(sidero, undefined);
});

test('a token for another server opens nothing', async () => {
  await using sidero = await testSidero({ objects: [dirty()] });
  await expectNothingDone(sidero, await bootToken(sidero, inventory('other').system.uuid));
});

test('a token that was tampered with opens nothing', async () => {
  await using sidero = await testSidero({ objects: [dirty()] });
  const token = await bootToken(sidero, UUID);
  await expectNothingDone(sidero, `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`);
  await expectNothingDone(sidero, token.replace(/\.[^.]+\./, '.zzzzzzz.'));
});

test.each([15 * 60_000, YEAR_MS])('a token of %d ms ago has ended', async (age) => {
  let now = new Date();
  await using sidero = await testSidero({ objects: [dirty()], now: () => now });
  const token = await bootToken(sidero, UUID);
  now = new Date(now.getTime() + age);
  await expectNothingDone(sidero, token);
});

test('a token of an earlier boot ends with the next boot of that server', async () => {
  let now = new Date();
  await using sidero = await testSidero({ objects: [dirty()], now: () => now });
  const first = await bootToken(sidero, UUID);
  now = new Date(now.getTime() + 2 * 60_000);
  const second = await bootToken(sidero, UUID);
  expect(second).not.toBe(first);
  await expectNothingDone(sidero, first);
});

test('a stranger who asks for the boot script of a server that is booting gets no token', async () => {
  await using sidero = await testSidero({ objects: [dirty()] });
  await bootToken(sidero, UUID, '127.0.0.1');
  const answer = await fetch(`${sidero.url}/ipxe?uuid=${UUID}&mac=66-66-66-66-66-66`);
  // Same address here, so what keeps it apart is the record of the boot: only an address of its own makes it a stranger.
  expect(answer.status).toBe(200);
  await expect(bootToken(sidero, UUID, '6.6.6.6')).rejects.toThrow('no token');
});

test('a boot with a valid token cannot mark a server clean that it was not told to wipe', async () => {
  await using sidero = await testSidero({ objects: [dirty()] });
  using client = connect(sidero, await bootToken(sidero, UUID));
  await expect(client.markServerAsWiped({ uuid: UUID })).rejects.toMatchObject({ code: expect.any(Number) });
  expect((await theServer(sidero))?.status?.isClean ?? false).toBe(false);
});

test('a token replayed after the server was accepted registers the same machine, and no other', async () => {
  await using sidero = await testSidero();
  const machine = sidero.machine({ seed: 'replayed' });
  await machine.bootTo('accepted');
  const token = machine.kernelArgs.find((arg) => arg.startsWith('sidero.token='))?.slice('sidero.token='.length);
  using client = connect(sidero, token);
  const other = inventory('other');
  await expect(client.createServer({ hardware: hardwareMessage(other) })).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  await expect(client.createServer({ hardware: hardwareMessage(other, machine.uuid) })).rejects.toBeDefined();
  const server = await sidero.resources.get(ServerKind, { name: machine.uuid }, { live: true });
  expect(server?.spec?.hardware?.system?.serialNumber).toBe(machine.inventory.system.serialNumber);
});

test('an unknown machine may only register', async () => {
  await using sidero = await testSidero();
  const uuid = inventory('unknown').system.uuid;
  using client = connect(sidero, await bootToken(sidero, uuid));
  await expect(client.markServerAsWiped({ uuid })).rejects.toBeDefined();
  await expect(client.updateBMCInfo({ uuid, bmcInfo: { ip: '6.6.6.6' } })).rejects.toBeDefined();
  await expect(client.heartbeat({ uuid })).rejects.toBeDefined();
  expect(await sidero.resources.list(ServerKind, {}, { live: true })).toEqual([]);
  await client.createServer({ hardware: hardwareMessage(inventory('unknown')) });
  expect(await sidero.resources.list(ServerKind, {}, { live: true })).toHaveLength(1);
});

test('with bootAuth off the original agent, which knows no token, registers', async () => {
  await using sidero = await testSidero({ site: { bootAuth: 'off' } });
  using client = connect(sidero);
  await client.createServer({ hardware: hardwareMessage(inventory('original')) });
  expect(await sidero.resources.list(ServerKind, {}, { live: true })).toHaveLength(1);
});
