import { type BmcProcess, type Chassis, ipmiSimSupport, MemoryChassis, startIpmiSim } from '@sidero/testing/bmc';
import { createNetwork, qemuSupport } from '@sidero/testing/qemu';
import { describe, expect, test, vi } from 'vitest';
import { ipmitool } from './clients.ts';

describe.skipIf(ipmiSimSupport().length > 0)('OpenIPMI’s BMC', () => {
  test('drives our machine', async () => {
    const chassis = new MemoryChassis();
    await using bmc = await startIpmiSim({ chassis });
    const run = (...command: string[]) => ipmitool(bmc, command);
    expect(await run('power', 'status')).toBe('Chassis Power is off');
    await run('chassis', 'bootdev', 'pxe');
    expect(bmc.control.override).toEqual({ device: 'network', isPersistent: false });
    await run('power', 'on');
    expect(await run('power', 'status')).toBe('Chassis Power is on');
    expect(chassis.boots).toEqual([{ device: 'network', isPersistent: false }]);
    expect(bmc.control.override.device).toBe('normal');

    await run('power', 'reset');
    expect(chassis.boots.map(({ device }) => device)).toEqual(['network', 'normal']);
    await run('power', 'cycle');
    await vi.waitFor(() => expect(bmc.control.actions).toEqual(['on', 'cycle', 'off', 'on']), { timeout: 10_000 });
    await run('power', 'off');
    expect(chassis.isOn()).toBe(false);
  });

  test('answers at once for a machine that takes its time', async () => {
    const started = Promise.withResolvers<void>();
    const slow: Chassis = { isOn: () => false, powerOn: () => started.promise, powerOff: () => undefined };
    await using bmc = await startIpmiSim({ chassis: slow });
    await ipmitool(bmc, ['power', 'on']);
    expect(bmc.control.actions).toEqual(['on']);
    started.resolve();
  });

  test('tells of a machine that cannot', async () => {
    const broken: Chassis = { isOn: () => false, powerOn: () => Promise.reject(new Error('no fuel')), powerOff: () => undefined };
    await using bmc = await startIpmiSim({ chassis: broken });
    await expect(ipmitool(bmc, ['power', 'on'])).rejects.toThrow(/Set Chassis Power Control.* failed/);
  });

  test('ends with its owner’s wish, and frees its port', async () => {
    const start = (port?: number): Promise<BmcProcess> => startIpmiSim({ chassis: new MemoryChassis(), ...(port ? { port } : {}) });
    const first = await start();
    await first[Symbol.asyncDispose]();
    await using again = await start(first.port);
    expect(await ipmitool(again, ['power', 'status'])).toBe('Chassis Power is off');
  });

  test.skipIf(qemuSupport([]).length > 0)('has an address of its own on a network of machines', async () => {
    await using network = await createNetwork();
    const host = await network.addHost('10.77.0.101');
    const chassis = new MemoryChassis();
    await using bmc = await startIpmiSim({ chassis, space: host, address: '10.77.0.101', port: 623 });
    const { address, port } = bmc;
    await network.run(['ipmitool', '-I', 'lanplus', '-C', '3', '-H', address, '-p', String(port), '-U', 'admin', '-P', 'secret', 'power', 'on']);
    expect(chassis.isOn()).toBe(true);
  });
});
