import { type IpmiBmc, MemoryChassis, startIpmiBmc } from '@sidero/testing/bmc';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ClientOptions, HAS_CLIENTS, ipmipower, ipmitool } from './clients.ts';

describe.skipIf(!HAS_CLIENTS)('a BMC of ours, asked by clients of others', () => {
  let chassis: MemoryChassis;
  let device: IpmiBmc;
  beforeEach(async () => {
    chassis = new MemoryChassis();
    device = await startIpmiBmc({ chassis });
  });
  afterEach(() => device[Symbol.asyncDispose]());

  const ways: readonly [string, ClientOptions][] = [
    ['suite 17', { suite: 17 }],
    ['suite 3', { suite: 3 }],
    ['IPMI 1.5', { interface: 'lan' }],
  ];
  describe.each(ways)('ipmitool with %s', (_name, options) => {
    const run = (...command: string[]) => ipmitool(device, command, options);

    test('has the machine in its hands', async () => {
      expect(await run('power', 'status')).toBe('Chassis Power is off');
      await expect(run('power', 'cycle')).rejects.toThrow('Command not supported in present state');
      await run('power', 'on');
      expect(await run('power', 'status')).toBe('Chassis Power is on');
      await run('power', 'cycle');
      await run('power', 'reset');
      await run('power', 'soft');
      expect(await run('power', 'status')).toBe('Chassis Power is off');
      await run('power', 'off');
      expect(device.bmc.control.actions).toEqual(['on', 'cycle', 'cycle', 'soft', 'off']);
      expect(device.bmc.sessions.size).toBe(0);
    });

    test('sets boot flags, all five bytes of which are kept until the boot', async () => {
      await run('chassis', 'bootdev', 'pxe', 'options=efiboot');
      expect(await run('raw', '0', '9', '5', '0', '0')).toBe('01 05 a0 04 00 00 00');
      await run('power', 'on');
      expect(await run('raw', '0', '9', '5', '0', '0')).toBe('01 05 00 00 00 00 00');
      await run('raw', '0', '8', '5', '0xc0', '0x08', '1', '2', '3');
      await run('power', 'cycle');
      expect(await run('raw', '0', '9', '5', '0', '0')).toBe('01 05 c0 08 01 02 03');
      expect(chassis.boots).toEqual([
        { device: 'network', mode: 'uefi', isPersistent: false },
        { device: 'disk', mode: 'bios', isPersistent: true },
      ]);
    });

    test('reads who may log in, the LAN and the device', async () => {
      const users = (await run('user', 'list', '1')).split('\n').map((line) => line.split(/\s+/));
      expect(users.slice(2, 4).map((line) => [line[1], line.at(-1)])).toEqual([
        ['admin', 'ADMINISTRATOR'],
        ['oper', 'OPERATOR'],
      ]);
      expect(await run('lan', 'print', '1')).toMatch(/IP Address +: 127\.0\.0\.1\n[^]*MAC Address +: 52:54:00:be:ef:03\n[^]*Cipher Suites +: 17,3/);
      expect(await run('channel', 'info', '1')).toMatch(/Medium Type +: 802.3 LAN/);
      expect(await run('mc', 'info')).toMatch(/Firmware Revision +: 2\.17\nIPMI Version +: 2\.0/);
    });

    test('makes a user who may log in then', async () => {
      await run('user', 'set', 'name', '4', 'sidero');
      await run('user', 'set', 'password', '4', 'a-new-one');
      await run('user', 'enable', '4');
      await run('channel', 'setaccess', '1', '4', 'privilege=4');
      expect(await run('user', 'test', '4', '16', 'a-new-one')).toBe('Success');
      expect(await ipmitool(device, ['power', 'status'], { ...options, user: 'sidero', password: 'a-new-one' })).toBe('Chassis Power is off');
    });
  });

  test('FreeIPMI has the machine in its hands, with suite 17 and with 3', async () => {
    for (const suite of [17, 3]) {
      const run = (action: string) => ipmipower(device, action, { suite });
      expect([await run('stat'), await run('on'), await run('stat'), await run('cycle'), await run('off')]).toEqual(['off', 'ok', 'on', 'ok', 'ok']);
    }
    expect(device.bmc.control.actions).toEqual(['on', 'cycle', 'off', 'on', 'cycle', 'off']);
  });

  test('who is not known, has a wrong password, or wants too much is not let in', async () => {
    const status = (options: ClientOptions) => ipmitool(device, ['power', 'status'], { suite: 17, ...options });
    await expect(status({ user: 'nobody' })).rejects.toThrow('Unable to establish');
    await expect(status({ password: 'wrong' })).rejects.toThrow('Unable to establish');
    await expect(status({ user: 'oper', password: 'operpw' })).rejects.toThrow('Unable to establish');
    expect(await status({ user: 'oper', password: 'operpw', privilege: 'OPERATOR' })).toBe('Chassis Power is off');
    expect(await ipmipower(device, 'stat', { password: 'wrong' })).toBe('password invalid');
    expect(await ipmipower(device, 'stat', { user: 'nobody' })).toBe('username invalid');
  });

  test('an operator may switch but changes nobody, a user may only look', async () => {
    const options = { user: 'oper', password: 'operpw', privilege: 'OPERATOR' } as const;
    await expect(ipmitool(device, ['user', 'set', 'password', '2', 'mine'], options)).rejects.toThrow(/Insufficient privilege level/);
    await expect(ipmitool(device, ['power', 'on'], { ...options, privilege: 'USER' })).rejects.toThrow(/Insufficient privilege level/);
    expect(await ipmitool(device, ['power', 'on'], options)).toMatch(/Up\/On/);
  });

  test('a BMC that speaks only suite 3 tells so, and one that speaks only IPMI 1.5 is silent to the rest', async () => {
    await using old = await startIpmiBmc({ chassis, suites: [3] });
    await expect(ipmitool(old, ['power', 'status'], { suite: 17 })).rejects.toThrow(/invalid authentication algorithm/);
    await using older = await startIpmiBmc({ chassis, suites: [] });
    expect(await ipmitool(older, ['power', 'status'], { interface: 'lan' })).toBe('Chassis Power is off');
  });

  test('one whose sessions are taken says so', async () => {
    device.bmc.faults = { full: 1 };
    await expect(ipmitool(device, ['power', 'status'], { suite: 17 })).rejects.toThrow(/insufficient resources/i);
    expect(await ipmipower(device, 'stat')).toBe('BMC busy');
  });

  test('a client lives with packets that get lost and come late', async () => {
    // Not with those that come twice: two answers to one step of its login are too many for ipmitool, half of the time.
    device.bmc.faults = { lost: 1 };
    const switched = ipmitool(device, ['power', 'on'], { suite: 17 });
    await vi.waitFor(() => expect(device.packets.received).toBeGreaterThan(0), { timeout: 10_000, interval: 5 });
    device.bmc.faults = { late: 1, lateMs: [10, 100] };
    await switched;
    expect(chassis.isOn()).toBe(true);
    expect(await ipmitool(device, ['power', 'status'], { suite: 17 })).toBe('Chassis Power is on');
  });
});
