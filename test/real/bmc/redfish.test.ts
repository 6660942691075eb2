import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { redfish } from '@sidero/plugin-redfish';
import { aServer } from '@sidero/testing';
import {
  type ActingRedfish,
  MemoryChassis,
  python,
  pythonSupport,
  type RedfishProcess,
  type RedfishSystem,
  startActingRedfish,
  startSushyEmulator,
} from '@sidero/testing/bmc';
import { describePowerDriver, type PowerAbility, type PowerCase, registrations } from '@sidero/testing/suites';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

const run = promisify(execFile);
const signal = new AbortController().signal;
const login = { user: 'admin', pass: 'secret' };
const systems: readonly RedfishSystem[] = [1, 2, 3].map((n) => ({
  uuid: `11111111-1111-4111-8111-00000000000${n}`,
  name: `node${n}`,
  serial: `serial-${n}`,
}));

/** Our driver; each has sessions of its own. */
const driverOf = (auth: 'session' | 'basic' | 'auto' = 'auto') => registrations(redfish({ auth, timeoutMs: 2000 })).powerDrivers[0]!;

/** A Server whose BMC is one of the systems of that service, which is known by its certificate. */
function serverOf({ url, ca }: RedfishProcess, { uuid }: RedfishSystem) {
  const fingerprint = new X509Certificate(ca!).fingerprint256.replaceAll(':', '').toLowerCase();
  return aServer({
    metadata: { annotations: { 'metal.sidero.dev/bmc-certificate': `sha256:${fingerprint}` } },
    spec: { hardware: { system: { uuid } }, bmc: { endpoint: url, interface: 'redfish', ...login } },
  });
}

async function actingCase(auth: 'session' | 'basic'): Promise<PowerCase> {
  const chassis = new MemoryChassis();
  const [system, ...others] = systems.map((each) => ({ ...each, chassis: new MemoryChassis() }));
  const service = await startActingRedfish({ systems: [...others, { ...system!, chassis }] });
  return {
    driver: driverOf(auth),
    server: serverOf(service, system!),
    login,
    machine: { isOn: () => chassis.isOn(), networkBoots: () => chassis.boots.map(({ device }) => device === 'network') },
    sessions: () => service.sessions.size,
    silence: () => service.silence(),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

const abilities: readonly PowerAbility[] = ['isOn', 'off', 'cycle', 'soft', 'networkBootOnce', 'probe', 'changePassword'];

describe.skipIf(pythonSupport().length > 0)('Redfish services of others', () => {
  describePowerDriver('redfish, by session', { abilities, start: () => actingCase('session') });

  test('by basic authentication it leaves no session, and does the same', async () => {
    await using device = await actingCase('basic');
    await using session = await device.driver.open(device.server, { login, signal });
    await session.networkBootOnce!('uefi', signal);
    await session.on(signal);
    expect([await session.isOn!(signal), device.machine.networkBoots!(), device.sessions!()]).toEqual([true, [true], 0]);
  });

  test('a certificate that is not the right one gets no password, and a wrong password is refused', async () => {
    await using service = await startSushyEmulator({ systems });
    const server = serverOf(service, systems[0]!);
    const open = async (given: typeof server, pass: string) => {
      await using session = await driverOf().open(given, { login: { user: 'admin', pass }, signal });
      return await session.isOn!(signal);
    };
    const unknown = { ...server, metadata: { ...server.metadata, annotations: {} } };
    await expect(open(unknown, 'secret')).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
    await expect(open(server, 'wrong')).rejects.toMatchObject({ code: 'SIDERO_BMC_AUTH' });
    const requests = () => service.lines.filter((line) => line.startsWith('127.0.0.1 '));
    await expect.poll(() => requests().at(-1)).toMatch(/" 401 /);
    expect(requests().filter((line) => / 200 /.test(line) && !line.includes('"GET /redfish/v1/ '))).toEqual([]);
  });

  describe('sushy-emulator, by basic authentication over TLS', () => {
    let service: RedfishProcess;
    beforeAll(async () => {
      service = await startSushyEmulator({ systems });
    });
    afterAll(() => service?.[Symbol.asyncDispose]());
    const sessionOn = (system: RedfishSystem) => driverOf().open(serverOf(service, system), { login, signal });
    // It does what it is told 3 to 4 s later.
    const late = { timeout: 20_000, interval: 200 };

    test.concurrent('on and off come late, and are seen when they come', async () => {
      await using session = await sessionOn(systems[0]!);
      await session.on(signal);
      expect(await session.isOn!(signal)).toBe(false);
      await vi.waitFor(async () => expect(await session.isOn!(signal)).toBe(true), late);
      await session.off!(signal);
      expect(await session.isOn!(signal)).toBe(true);
      await vi.waitFor(async () => expect(await session.isOn!(signal)).toBe(false), late);
    });

    test.concurrent('a cycle is seen as off, and on later', async () => {
      await using session = await sessionOn(systems[1]!);
      await session.on(signal);
      await vi.waitFor(async () => expect(await session.isOn!(signal)).toBe(true), late);
      await session.cycle!(signal);
      expect(await session.isOn!(signal)).toBe(false);
      await vi.waitFor(async () => expect(await session.isOn!(signal)).toBe(true), late);
    });

    test.concurrent('a network boot is ordered although it keeps no "Once"; accounts, which it lacks, are not offered', async () => {
      await using session = await sessionOn(systems[2]!);
      await session.networkBootOnce!('uefi', signal);
      await session.networkBootOnce!('bios', signal);
      expect(JSON.stringify(await session.probe!(signal))).toContain('Pxe');
      expect(session.changePassword).toBeUndefined();
    });
  });

  describe('a client of others', () => {
    let service: ActingRedfish;
    const chassis = new MemoryChassis();
    beforeAll(async () => {
      service = await startActingRedfish({ systems: [{ ...systems[0]!, chassis }], tls: false });
    });
    afterAll(() => service?.[Symbol.asyncDispose]());

    /** Runs Python with `url` and `uuid`, and gives what it prints as JSON. */
    const ask = async (script: string) => {
      const given = `url, uuid = ${JSON.stringify(service.url)}, ${JSON.stringify(systems[0]!.uuid)}\n`;
      return JSON.parse((await run(python('clients'), ['-c', given + script])).stdout) as unknown;
    };

    test('sushy agrees with us on state, boot device and cycle', async () => {
      await using session = await registrations(redfish({ allowPlainHttp: true })).powerDrivers[0]!.open(
        aServer({ spec: { hardware: { system: { uuid: systems[0]!.uuid } }, bmc: { endpoint: service.url, interface: 'redfish', ...login } } }),
        { login, signal },
      );
      await session.networkBootOnce!('uefi', signal);
      expect(await ask(SUSHY)).toEqual({ power: 'Off', boot: ['Pxe', 'Once', 'UEFI'], after: 'On' });
      expect(await session.isOn!(signal)).toBe(true);
      expect(chassis.boots).toMatchObject([{ device: 'network', mode: 'uefi' }]);
      await session.cycle!(signal);
      expect(service.controls.get(systems[0]!.uuid)!.actions).toEqual(['on', 'cycle']);
    });

    test('DMTF’s logs in and out', async () => {
      expect(await ask(DMTF)).toEqual({ open: 1, name: 'node1' });
      expect(service.sessions.size).toBe(0);
    });
  });
});

const SUSHY = `
import json, sushy
system = sushy.Sushy(url + '/redfish/v1', username='admin', password='secret').get_system('/redfish/v1/Systems/' + uuid)
boot = system.boot
found = {'power': system.power_state.value, 'boot': [boot.target.value, boot.enabled.value, boot.mode.value]}
system.reset_system(sushy.RESET_ON)
system.refresh(force=True)
print(json.dumps({**found, 'after': system.power_state.value}))
`;

const DMTF = `
import json, redfish
client = redfish.redfish_client(base_url=url, username='admin', password='secret')
client.login(auth='session')
sessions = client.get('/redfish/v1/SessionService/Sessions').dict
name = client.get('/redfish/v1/Systems/' + uuid).dict['Name']
client.logout()
print(json.dumps({'open': sessions['Members@odata.count'], 'name': name}))
`;
