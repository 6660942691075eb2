import { expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import type { PowerDriver } from '../registries.ts';
import { Devices } from './devices.ts';
import { createPowerMeters } from './power-meters.ts';
import { aManagedServer, aRig, VirtualClock } from './power.fixture.ts';

function someDevices(clock = new VirtualClock()) {
  const policy = { commandsPerSecond: 10, commandMs: 30_000, idleMs: 50_000, clock };
  return new Devices({ ...policy, log: createLogger({ level: 'silent' }), meters: createPowerMeters(createMetrics()) });
}

const driver: PowerDriver = { name: 'any', claims: () => true, open: () => Promise.reject(new Error('not here')) };

test('servers behind one endpoint share a device, by driver; without an endpoint each server is one', () => {
  const devices = someDevices();
  const shared = { ...driver, deviceOf: () => '10.0.0.7' };
  expect(devices.of(shared, aManagedServer('a'))).toBe(devices.of(shared, aManagedServer('b')));
  expect(devices.of(shared, aManagedServer('a'))).not.toBe(devices.of({ ...shared, name: 'other' }, aManagedServer('a')));
  expect(devices.of(driver, aManagedServer('a'))).not.toBe(devices.of(driver, aManagedServer('b')));
});

test('devices with nothing to remember are forgotten after a while', async () => {
  const clock = new VirtualClock();
  const devices = someDevices(clock);
  const first = devices.of(driver, aManagedServer('server-0'));
  await clock.pass(9 * 60_000);
  expect(devices.of(driver, aManagedServer('server-0'))).toBe(first);
  await clock.pass(2 * 60_000);
  expect(devices.of(driver, aManagedServer('server-0'))).not.toBe(first);
});

test('a dead device whose server is gone is counted no longer, in the end', async () => {
  const { clock, device, power, metrics } = aRig({ driver: { deviceOf: ({ metadata }) => metadata.name } });
  device.misbehaves = () => 'silent';
  const look = (name: string) => clock.until(power.read(aManagedServer(name), new AbortController().signal));
  for (let step = 0; step < 4; step++) await look('server-1');
  expect(await metrics.text()).toContain('sidero_power_breaker_open{driver="scripted"} 1');
  await clock.pass(30 * 60_000);
  await look('server-2');
  expect(await metrics.text()).toContain('sidero_power_breaker_open{driver="scripted"} 1');
  await clock.pass(40 * 60_000);
  await look('server-2');
  expect(await metrics.text()).toContain('sidero_power_breaker_open{driver="scripted"} 0');
});
