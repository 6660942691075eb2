import { expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import type { PowerDriver } from '../registries.ts';
import { Devices } from './devices.ts';
import { createPowerMeters } from './power-meters.ts';
import { aManagedServer, VirtualClock } from './power.fixture.ts';

function someDevices() {
  const policy = { commandsPerSecond: 10, commandMs: 30_000, idleMs: 50_000, clock: new VirtualClock() };
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

test('devices with nothing to remember are forgotten, when there are many', () => {
  const devices = someDevices();
  const first = devices.of(driver, aManagedServer('server-0'));
  for (let index = 1; index <= 255; index++) devices.of(driver, aManagedServer(`server-${index}`));
  expect(devices.of(driver, aManagedServer('server-0'))).toBe(first);
  devices.of(driver, aManagedServer('server-256'));
  expect(devices.of(driver, aManagedServer('server-0'))).not.toBe(first);
});
