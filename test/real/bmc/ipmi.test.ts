import type { PowerSession } from '@sidero/core';
import { BmcConnection, deviceId, ipmi, lanChannel, lanParameter, Users, waitsOf } from '@sidero/plugin-ipmi';
import { PRIVILEGE } from '@sidero/plugin-ipmi/protocol';
import { aServer } from '@sidero/testing';
import { type BmcProcess, ipmiSimSupport, MemoryChassis, pythonSupport, startIpmiSim, startPyghmiBmc } from '@sidero/testing/bmc';
import { describePowerDriver, type PowerAbility, type PowerCase, registrations } from '@sidero/testing/suites';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ClientOptions, HAS_CLIENTS, ipmitool, type Place } from './clients.ts';

const signal = new AbortController().signal;
const login = { user: 'admin', pass: 'secret' };
/** So short that a test of silence is; what is sent again is done again by OpenIPMI's, and counted. */
const SHORT = { timeoutMs: 500, retries: 2 };
const PATIENT = { timeoutMs: 5000, retries: 2 };
const driverOf = (waits = SHORT) => registrations(ipmi(waits)).powerDrivers[0]!;
const serverAt = ({ address, port }: Place, spoken: 'lan' | 'lanplus') =>
  aServer({ spec: { bmc: { endpoint: address, port, interface: spoken, ...login } } });

/** A session of our driver. */
const sessionOn = (place: Place, spoken: 'lan' | 'lanplus' = 'lanplus'): Promise<PowerSession> =>
  driverOf(PATIENT).open(serverAt(place, spoken), { login, signal });

/** A login of our client, below the driver. */
function connectionTo({ address, port }: Place, spoken: 'lan' | 'lanplus' = 'lanplus'): Promise<BmcConnection> {
  return BmcConnection.open(
    {
      subject: { server: 'server', device: `${address}:${port}` },
      endpoint: { host: address, port },
      interface: spoken,
      user: login.user,
      password: login.pass,
      privilege: 'administrator',
      suites: [17, 3],
      waitsMs: waitsOf(PATIENT),
      dropped: () => undefined,
    },
    signal,
  );
}

/** A BMC of others, our driver and its machine. */
async function caseOf(start: (given: { chassis: MemoryChassis }) => Promise<BmcProcess>, spoken: 'lan' | 'lanplus' = 'lanplus'): Promise<PowerCase> {
  const chassis = new MemoryChassis();
  const bmc = await start({ chassis });
  return {
    driver: driverOf(),
    server: serverAt(bmc, spoken),
    login,
    machine: { isOn: () => chassis.isOn(), networkBoots: () => chassis.boots.map(({ device }) => device === 'network') },
    silence: () => bmc.silence(),
    [Symbol.asyncDispose]: () => bmc[Symbol.asyncDispose](),
  };
}

const plain: readonly PowerAbility[] = ['isOn', 'off', 'cycle', 'soft', 'networkBootOnce', 'probe'];

describe.skipIf(ipmiSimSupport().length > 0 || !HAS_CLIENTS)('OpenIPMI’s BMC', () => {
  // A cycle of it takes more than a second.
  const slow = { effectMs: 10_000 };
  describePowerDriver('ipmi, RMCP+', { ...slow, abilities: [...plain, 'changePassword'], start: () => caseOf(startIpmiSim) });
  describePowerDriver('ipmi, IPMI 1.5', { ...slow, abilities: plain, start: () => caseOf(startIpmiSim, 'lan') });

  describe.each(['lanplus', 'lan'] as const)('ours and ipmitool agree (%s)', (spoken) => {
    const options: ClientOptions = { interface: spoken };
    let bmc: BmcProcess;
    const run = (...command: string[]) => ipmitool(bmc, command, options);
    beforeEach(async () => {
      bmc = await startIpmiSim({ chassis: new MemoryChassis() });
    });
    afterEach(() => bmc[Symbol.asyncDispose]());

    test('on the state, whoever changes it', async () => {
      await using ours = await sessionOn(bmc, spoken);
      const both = async () => [await ours.isOn!(signal), await run('power', 'status')];
      expect(await both()).toEqual([false, 'Chassis Power is off']);
      await ours.on(signal);
      expect(await both()).toEqual([true, 'Chassis Power is on']);
      await run('power', 'off');
      expect(await both()).toEqual([false, 'Chassis Power is off']);
      await run('power', 'on');
      await ours.off!(signal);
      expect(await both()).toEqual([false, 'Chassis Power is off']);
    });

    test('on what on, off, cycle, reset and soft make it do', async () => {
      const actionsOf = async (does: (action: 'on' | 'cycle' | 'soft' | 'off') => Promise<unknown>) => {
        const before = bmc.control.actions.length;
        const did = () => bmc.control.actions.slice(before);
        for (const action of ['on', 'cycle'] as const) await does(action);
        await vi.waitFor(() => expect(did()).toHaveLength(3), { timeout: 10_000 });
        for (const action of ['soft', 'off'] as const) await does(action);
        return did();
      };
      await using ours = await sessionOn(bmc, spoken);
      const byOurs = await actionsOf((action) => ours[action]!(signal));
      expect(byOurs).toEqual(['on', 'off', 'on', 'soft', 'off']);
      expect(await actionsOf((action) => run('power', action))).toEqual(byOurs);
    });

    test('on the boot device', async () => {
      await using ours = await sessionOn(bmc, spoken);
      const flags = () => run('raw', '0', '9', '5', '0', '0');
      await run('chassis', 'bootdev', 'pxe', 'options=efiboot');
      const byIpmitool = await flags();
      expect(bmc.control.override.device).toBe('network');
      await run('chassis', 'bootdev', 'disk');
      expect(bmc.control.override.device).toBe('disk');
      await ours.networkBootOnce!('uefi', signal);
      expect(bmc.control.override.device).toBe('network');
      expect(await flags()).toBe(byIpmitool);
    });

    test('on the device, the LAN and the users', async () => {
      await using ours = await connectionTo(bmc, spoken);
      const device = await deviceId(ours, signal);
      const info = await run('mc', 'info');
      expect(info).toContain(`Firmware Revision         : ${device.firmware}\n`);
      expect(info).toContain(`IPMI Version              : ${device.ipmiVersion}\n`);
      expect(info).toContain(`Manufacturer ID           : ${device.manufacturerId}\n`);

      const channel = await lanChannel(ours, signal);
      expect(await run('channel', 'info', String(channel))).toMatch(/Medium Type +: 802.3 LAN/);
      const lan = await run('lan', 'print', String(channel));
      const parameter = (number: number) => lanParameter(ours, { channel: channel!, parameter: number }, signal);
      expect(lan).toMatch(new RegExp(`IP Address +: ${(await parameter(3))!.join('.')}\n`));
      expect(lan).toMatch(
        new RegExp(
          `MAC Address +: ${Buffer.from((await parameter(5))!)
            .toString('hex')
            .match(/../g)!
            .join(':')}\n`,
        ),
      );
      expect(lan).toMatch(new RegExp(`Subnet Mask +: ${(await parameter(6))!.join('.')}\n`));

      const users = new Users(ours, { server: 'server', device: 'bmc' });
      const listed = (await run('user', 'list', String(channel))).split('\n').slice(1, 4);
      for (const [index, line] of listed.entries()) {
        const { privilege } = await users.access({ channel: channel!, userId: index + 1 }, signal);
        const name = Object.entries(PRIVILEGE).find(([, level]) => level === privilege)![0];
        expect([line.slice(4, 20).trim(), line.trim().split(/\s+/).at(-1)]).toEqual([
          (await users.name(index + 1, signal)) ?? '',
          name.toUpperCase(),
        ]);
      }
    });
  });

  test('ipmitool logs in as the user that our client made', async () => {
    await using bmc = await startIpmiSim({ chassis: new MemoryChassis() });
    await using ours = await connectionTo(bmc);
    const users = new Users(ours, { server: 'server', device: 'bmc' });
    await users.setName({ userId: 5, name: 'sidero' }, signal);
    await users.setPassword({ userId: 5, password: 'sixteen-bytes-16' }, signal);
    await users.setAccess({ channel: 1, userId: 5, isMessagingOn: true, privilege: PRIVILEGE.administrator }, signal);
    await users.enable(5, signal);
    expect(await users.hasPassword({ userId: 5, password: 'sixteen-bytes-16' }, signal)).toBe(true);
    expect(await ipmitool(bmc, ['power', 'status'], { user: 'sidero', password: 'sixteen-bytes-16' })).toBe('Chassis Power is off');
    await expect(ipmitool(bmc, ['power', 'status'], { user: 'sidero', password: 'another' })).rejects.toThrow();
  });

  test('suite 17, which it lacks, is not insisted on; and is missed when nothing else will do', async () => {
    await using bmc = await startIpmiSim({ chassis: new MemoryChassis() });
    await using ours = await sessionOn(bmc);
    expect(JSON.stringify(await ours.probe!(signal))).toMatch(/\b3\b/);
    await expect(ipmitool(bmc, ['power', 'status'], { suite: 17 })).rejects.toThrow();
    const strict = registrations(ipmi({ cipherSuites: [17], ...SHORT })).powerDrivers[0]!;
    await expect(strict.open(serverAt(bmc, 'lanplus'), { login, signal })).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
  });
});

describe.skipIf(pythonSupport().length > 0 || !HAS_CLIENTS)('pyghmi’s BMC', () => {
  describePowerDriver('ipmi', { abilities: [...plain, 'changePassword'], lacks: ['changePassword'], start: () => caseOf(startPyghmiBmc) });

  test('ours and ipmitool agree on all five bytes of the boot flags, on the state and on a cycle that is refused', async () => {
    await using bmc = await startPyghmiBmc({ chassis: new MemoryChassis() });
    await using ours = await sessionOn(bmc);
    const run = (...command: string[]) => ipmitool(bmc, command);
    await run('chassis', 'bootdev', 'pxe', 'options=efiboot');
    const flags = await run('raw', '0', '9', '5', '0', '0');
    await run('chassis', 'bootdev', 'none');
    await ours.networkBootOnce!('uefi', signal);
    expect(await run('raw', '0', '9', '5', '0', '0')).toBe(flags);

    await expect(run('power', 'cycle')).rejects.toThrow('Command not supported in present state');
    await expect(ours.cycle!(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
    await ours.on(signal);
    expect([await ours.isOn!(signal), await run('power', 'status')]).toEqual([true, 'Chassis Power is on']);
    await ours.cycle!(signal);
    await run('power', 'cycle');
    expect(bmc.control.actions).toEqual(['on', 'cycle', 'cycle']);
  });
});
