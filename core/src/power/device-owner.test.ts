import { expect, test } from 'vitest';
import type { PowerDriver } from '../registries.ts';
import type { ResourceClient } from '../resources/client.ts';
import type { Server } from '../resources/kinds.ts';
import { aManagedServer, aRig } from './power.fixture.ts';

const { signal } = new AbortController();
const deviceOf = ({ spec }: Server): string => spec?.bmc?.endpoint ?? '';

function inUse(server: Server): Server {
  return { ...server, status: { inUse: true } };
}

function aRack(servers: readonly Server[], driver: Partial<PowerDriver> = {}) {
  const resources = { get: async () => undefined, list: async () => servers } as unknown as ResourceClient;
  const rig = aRig({ resources, driver: { deviceOf, ...driver } });
  rig.device.isOn = true;
  const switched = (server: Server) => rig.clock.until(rig.power.act(server, { action: 'network-boot' }, signal));
  return { ...rig, switched };
}

const login = { user: 'admin', pass: 'right' };
const [one, two] = [aManagedServer('one'), aManagedServer('two')];

test('a BMC that two Servers name switches neither, and says who the other is', async () => {
  const { device, switched } = aRack([one, two]);
  for (const [server, other] of [
    [one, 'two'],
    [two, 'one'],
  ] as const) {
    const refused = { code: 'SIDERO_BMC_SHARED', message: expect.stringContaining(`Server ${other} names the same device`) as string };
    await expect(switched(server)).rejects.toMatchObject(refused);
  }
  expect(device.told).toEqual([]);
});

test('a machine in use keeps its BMC: the Server that names it too gets nothing', async () => {
  const { device, switched } = aRack([inUse(one), two]);
  await expect(switched(two)).rejects.toMatchObject({ code: 'SIDERO_BMC_SHARED' });
  expect(device.told).toEqual([]);
  await switched(inUse(one));
  expect(device.verbs).toEqual(['networkBootOnce', 'cycle']);
});

test('of two machines in use that name one BMC, neither is switched', async () => {
  const { device, switched } = aRack([inUse(one), inUse(two)]);
  await expect(switched(inUse(one))).rejects.toMatchObject({ code: 'SIDERO_BMC_SHARED' });
  expect(device.told).toEqual([]);
});

test('a BMC in another spelling is the same; one elsewhere is another', async () => {
  const named = (name: string, endpoint: string) => aManagedServer(name, { ...login, endpoint });
  const [first, same, another] = [named('one', 'bmc-1.example'), named('two', 'BMC-1.example'), named('three', 'bmc-3.example')];
  const { switched } = aRack([first, same, another]);
  await expect(switched(first)).rejects.toMatchObject({ code: 'SIDERO_BMC_SHARED' });
  await expect(switched(another)).resolves.toMatchObject({ driver: 'scripted' });
});

test('a driver that tells machines apart at one device switches each', async () => {
  const { switched } = aRack([one, two], { tellsMachinesApart: true });
  await expect(switched(one)).resolves.toMatchObject({ driver: 'scripted' });
});
