import { describe, expect, test } from 'vitest';
import { aManagedServer, ScriptedDevice, testPower, VirtualClock } from './power.fixture.ts';

const { signal } = new AbortController();

function aRig(overrides: ConstructorParameters<typeof ScriptedDevice>[1] = {}) {
  const clock = new VirtualClock();
  const device = new ScriptedDevice(clock, overrides);
  return { clock, device, ...testPower([device], { clock }) };
}

describe('reading', () => {
  test('tells the state, and who told it', async () => {
    const { clock, device, power } = aRig();
    device.isOn = true;
    expect(await clock.until(power.read(aManagedServer(), signal))).toMatchObject({ state: 'on', driver: 'scripted', problem: undefined });
  });
});

describe('acting', () => {
  test('switches on, and waits until it is seen', async () => {
    const { clock, device, power } = aRig();
    device.effectMs = 5000;
    const proof = await clock.until(power.act(aManagedServer(), { action: 'on' }, signal));
    expect(proof).toEqual({ driver: 'scripted', detail: 'it was off, and is on 6.0 s later', failed: [] });
  });
});
