import { describe, expect, test } from 'vitest';
import type { PowerOrder } from './index.ts';
import { aManagedServer, aRig, ScriptedDevice, testPower, VirtualClock } from './power.fixture.ts';

const { signal } = new AbortController();

function act(rig: Pick<ReturnType<typeof aRig>, 'clock' | 'power'>, order: PowerOrder) {
  return rig.clock.until(rig.power.act(aManagedServer(), order, signal));
}

describe('on and off', () => {
  test('count when the state was read twice in a row', async () => {
    const rig = aRig();
    rig.device.effectMs = 5500;
    expect(await act(rig, { action: 'on' })).toEqual({ driver: 'scripted', detail: 'it was off, and is on 7.0 s later', failed: [] });
    expect(await act(rig, { action: 'off' })).toMatchObject({ detail: 'it was on, and is off 7.0 s later' });
  });

  test('tell nothing to a machine that is as wished', async () => {
    const rig = aRig();
    expect((await act(rig, { action: 'off' })).detail).toBe('it is off already');
    rig.device.isOn = true;
    expect((await act(rig, { action: 'on' })).detail).toBe('it is on already');
    expect(rig.device.verbs).toEqual([]);
  });

  test('a state that would spare the order is looked at twice', async () => {
    const rig = aRig();
    let looks = 0;
    rig.device.misbehaves = (verb) => (verb === 'isOn' && looks++ === 0 ? 'lie' : undefined);
    expect((await act(rig, { action: 'on' })).detail).toMatch(/^it was off, and is on/);
  });

  test('a state that flips back does not count', async () => {
    const rig = aRig();
    rig.device.isOn = true;
    let looks = 0;
    // Off, on, off, on, … after the order, and then off.
    rig.device.misbehaves = (verb) => (verb === 'isOn' && rig.device.verbs.length > 0 && looks++ < 6 && looks % 2 === 0 ? 'lie' : undefined);
    expect((await act(rig, { action: 'off' })).detail).toBe('it was on, and is off 7.0 s later');
  });

  test('a device that says yes and does nothing has failed after 30 s', async () => {
    const rig = aRig();
    rig.device.misbehaves = (verb) => (verb === 'on' ? 'lie' : undefined);
    await expect(act(rig, { action: 'on' })).rejects.toMatchObject({
      code: 'SIDERO_BMC_FAULT',
      message: expect.stringContaining('it was told to switch on, and is still off 30.0 s later') as string,
    });
  });

  test('a device that is silent for a while after the order is asked again', async () => {
    const rig = aRig();
    let looks = 0;
    rig.device.misbehaves = (verb) => (verb === 'isOn' && rig.device.verbs.length > 0 && looks++ < 2 ? 'silent' : undefined);
    expect((await act(rig, { action: 'on' })).detail).toMatch(/^it was off, and is on/);
  });

  test('a driver that cannot tell the state is believed, and the proof says so', async () => {
    const rig = aRig();
    rig.device.lacks = ['isOn'];
    expect((await act(rig, { action: 'on' })).detail).toBe('it was told to switch on; not verified: this driver cannot tell the state');
    expect((await act(rig, { action: 'off' })).detail).toContain('not verified');
  });
});

describe('soft', () => {
  test('waits for the operating system, and tells when it takes longer', async () => {
    const rig = aRig();
    rig.device.isOn = true;
    rig.device.effectMs = 3000;
    expect((await act(rig, { action: 'soft' })).detail).toMatch(/asked to shut down, and it is off/);
    rig.device.isOn = true;
    rig.device.effectMs = 90_000;
    expect((await act(rig, { action: 'soft' })).detail).toBe('its operating system was asked to shut down; it is still on 30.0 s later');
  });
});

describe('cycle', () => {
  test('of a machine that is off switches it on', async () => {
    const rig = aRig();
    expect((await act(rig, { action: 'cycle' })).detail).toMatch(/^it was off, and is on/);
    expect(rig.device.verbs).toEqual(['on']);
  });

  test('that a device lacks or refuses is off, a wait until it is off, and on', async () => {
    for (const how of ['lacks', 'refuses']) {
      const rig = aRig();
      rig.device.isOn = true;
      rig.device.effectMs = 1500;
      if (how === 'lacks') rig.device.lacks = ['cycle'];
      else rig.device.misbehaves = (verb) => (verb === 'cycle' ? 'unsupported' : undefined);
      expect((await act(rig, { action: 'cycle' })).detail).toBe('it was on, is off 3.0 s later, and on 3.0 s after that');
      expect(rig.device.verbs.slice(-2)).toEqual(['off', 'on']);
    }
  });
});

describe('network boot', () => {
  test('is set before the power, in the mode of the Server, else of the site', async () => {
    const rig = aRig();
    expect((await act(rig, { action: 'network-boot' })).detail).toMatch(/^network boot once \(uefi\) was set; it was off, and is on/);
    expect(rig.device.verbs).toEqual(['networkBootOnce', 'on']);
    const server = { ...aManagedServer(), spec: { ...aManagedServer().spec!, pxeMode: 'bios' } };
    await rig.clock.until(rig.power.act(server, { action: 'network-boot' }, signal));
    expect(rig.device.verbs.slice(2)).toEqual(['networkBootOnce', 'cycle']);
    expect(rig.device.networkBoot).toBe('bios');
    await act(rig, { action: 'network-boot', mode: 'uefi' });
    expect(rig.device.networkBoot).toBe('uefi');
  });

  test('for the case that it is off leaves a machine alone that is on', async () => {
    const rig = aRig();
    rig.device.isOn = true;
    expect((await act(rig, { action: 'network-boot', onlyWhenOff: true })).detail).toBe('it is on already, and was left alone');
    expect(rig.device.verbs).toEqual([]);
    const blind = aRig();
    blind.device.lacks = ['isOn'];
    await act(blind, { action: 'network-boot', onlyWhenOff: true });
    expect(blind.device.verbs).toEqual(['networkBootOnce', 'on']);
  });

  test('a boot device that was not taken touches no power', async () => {
    const rig = aRig();
    rig.device.isOn = true;
    rig.device.misbehaves = (verb) => (verb === 'networkBootOnce' ? 'fault' : undefined);
    await expect(act(rig, { action: 'network-boot' })).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
    expect(rig.device.verbs).not.toContain('cycle');
  });

  test('a driver that can only switch on does that, and says so', async () => {
    const rig = aRig();
    rig.device.lacks = ['isOn', 'off', 'cycle', 'soft', 'networkBootOnce'];
    expect((await act(rig, { action: 'network-boot' })).detail).toBe(
      'it was told to switch on; not verified: this driver cannot tell the state; this driver only switches on, what it boots is up to the machine',
    );
    expect(rig.device.verbs).toEqual(['on']);
  });

  test('a driver that cannot make a running machine boot from the network leaves it running', async () => {
    const rig = aRig();
    rig.device.isOn = true;
    rig.device.lacks = ['networkBootOnce'];
    await expect(act(rig, { action: 'network-boot' })).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
    expect(rig.device.verbs).toEqual([]);
  });
});

describe('the ladder', () => {
  function twoDrivers() {
    const clock = new VirtualClock();
    const first = new ScriptedDevice(clock, { name: 'first', deviceOf: () => 'first' });
    const second = new ScriptedDevice(clock, { name: 'second', deviceOf: () => 'second' });
    return { clock, first, second, ...testPower([first, second], { clock }) };
  }

  test('goes on to the next driver, and tells why the first failed', async () => {
    const rig = twoDrivers();
    rig.first.misbehaves = (verb) => (verb === 'on' ? 'lie' : undefined);
    const proof = await act(rig, { action: 'on' });
    expect(proof.driver).toBe('second');
    expect(proof.failed).toMatchObject([{ driver: 'first', problem: { code: 'SIDERO_BMC_FAULT' } }]);
  });

  test('a session without the ability is passed over', async () => {
    const rig = twoDrivers();
    rig.first.lacks = ['off'];
    rig.first.isOn = rig.second.isOn = true;
    expect((await act(rig, { action: 'off' })).driver).toBe('second');
  });

  test('climbs only the driver that was named', async () => {
    const rig = twoDrivers();
    expect((await act(rig, { action: 'on', driver: 'second' })).driver).toBe('second');
    expect(rig.first.told).toEqual([]);
    await expect(act(rig, { action: 'on', driver: 'third' })).rejects.toMatchObject({ code: 'SIDERO_POWER_UNMANAGED' });
  });

  test('when all failed, the error that says most is thrown, with the others in words', async () => {
    const rig = twoDrivers();
    rig.first.misbehaves = () => 'unsupported';
    rig.second.misbehaves = () => 'silent';
    const thrown: unknown = await act(rig, { action: 'on' }).catch((problem: unknown) => problem);
    expect(thrown).toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
    expect(String(thrown)).toContain('Also tried: Server server-1: first at 10.0.0.7:623 cannot do that');
  });

  test('the state is read from the first driver that can tell it', async () => {
    const rig = twoDrivers();
    rig.first.lacks = ['isOn'];
    rig.second.isOn = true;
    expect(await rig.clock.until(rig.power.read(aManagedServer(), signal))).toMatchObject({ state: 'on', driver: 'second' });
    rig.second.misbehaves = () => 'silent';
    expect(await rig.clock.until(rig.power.read(aManagedServer('server-2'), signal))).toMatchObject({
      state: 'unknown',
      driver: undefined,
      problem: { code: 'SIDERO_BMC_UNREACHABLE' },
    });
  });

  test('what devices support is told by driver; one that cannot be asked is left out', async () => {
    const rig = twoDrivers();
    rig.first.misbehaves = () => 'silent';
    rig.second.lacks = ['soft', 'changePassword'];
    expect(await rig.clock.until(rig.power.probe(aManagedServer(), signal))).toEqual({
      second: { Abilities: 'on, isOn, off, cycle, networkBootOnce' },
    });
    rig.second.misbehaves = () => 'silent';
    await expect(rig.clock.until(rig.power.probe(aManagedServer('server-3'), signal))).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
  });
});

describe('who manages a server', () => {
  test('nobody, when no driver claims it', async () => {
    const rig = aRig({ driver: { claims: () => false } });
    expect(rig.power.drivers(aManagedServer())).toEqual([]);
    await expect(act(rig, { action: 'on' })).rejects.toMatchObject({ code: 'SIDERO_POWER_UNMANAGED' });
    expect(await rig.power.read(aManagedServer(), signal)).toMatchObject({ state: 'unknown', driver: undefined, problem: undefined });
  });

  test('a BMC that has only half of its login yet counts as none, unless the driver needs none', () => {
    const half = aManagedServer('server-1', { endpoint: '10.0.0.7', user: 'admin' });
    expect(aRig().power.drivers(half)).toEqual([]);
    expect(aRig({ driver: { needsLogin: false } }).power.drivers(half)).toEqual(['scripted']);
  });

  test('a login that is not there fails the drivers that need one, and only those', async () => {
    const bmc = { endpoint: '10.0.0.7', user: 'admin', passFrom: { secretKeyRef: { namespace: 'default', name: 'gone', key: 'pass' } } };
    const server = aManagedServer('server-1', bmc);
    const needing = aRig();
    expect(await needing.clock.until(needing.power.read(server, signal))).toMatchObject({ problem: { code: 'SIDERO_BMC_LOGIN_MISSING' } });
    expect(needing.device.told).toEqual([]);
    const content = aRig({ driver: { needsLogin: false } });
    expect(await content.clock.until(content.power.read(server, signal))).toMatchObject({ state: 'off' });
  });
});
