import { describe, expect, test } from 'vitest';
import { flagsOf } from './boot-flags.ts';
import { MemoryChassis } from './chassis.ts';
import type { BmcFaults } from './faults.ts';
import { type BmcClock, SimulatedBmc } from './simulated-bmc.ts';

/** A clock that is moved by hand. */
class HandClock implements BmcClock {
  #nowMs = 1_000_000;
  readonly #due: { atMs: number; ring: () => void }[] = [];

  now(): Date {
    return new Date(this.#nowMs);
  }

  pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#due.push({ atMs: this.#nowMs + ms, ring: resolve });
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  }

  async move(ms: number): Promise<void> {
    this.#nowMs += ms;
    for (const { atMs, ring } of this.#due) if (atMs <= this.#nowMs) ring();
    await new Promise((resolve) => setImmediate(resolve)); // what waited goes on
  }
}

function aBmc(faults: BmcFaults = {}) {
  const chassis = new MemoryChassis();
  const clock = new HandClock();
  return { chassis, clock, bmc: new SimulatedBmc({ chassis, clock, faults }) };
}

const networkOnce = flagsOf({ device: 'network', mode: 'uefi', isPersistent: false });
const networkAlways = flagsOf({ device: 'network', mode: 'bios', isPersistent: true });

describe('a BMC without faults', () => {
  test('does what it is told, at once, and refuses to cycle what is off', async () => {
    const { bmc, chassis, clock } = aBmc();
    expect([bmc.order('cycle'), bmc.order('soft'), bmc.readPower()]).toEqual(['not in this state', 'not in this state', false]);
    expect([bmc.order('on'), bmc.readPower(), chassis.isOn()]).toEqual(['ok', true, true]);
    await clock.move(0);
    expect([bmc.order('off'), bmc.readPower()]).toEqual(['ok', false]);
    expect([bmc.order('off'), bmc.readPower()]).toEqual(['ok', false]);
  });

  test('boots by its flags once, or for ever when they say so', async () => {
    const { bmc, chassis, clock } = aBmc();
    bmc.setBootFlags(networkOnce);
    bmc.order('on');
    bmc.order('cycle');
    await clock.move(0);
    bmc.setBootFlags(networkAlways);
    bmc.order('cycle');
    await clock.move(0);
    bmc.order('cycle');
    await clock.move(0);
    expect(chassis.boots.map(({ device, mode }) => [device, mode])).toEqual([
      ['network', 'uefi'],
      ['normal', undefined],
      ['network', 'bios'],
      ['network', 'bios'],
    ]);
  });

  test('an order for what is so already keeps the flags for the next boot', () => {
    const { bmc } = aBmc();
    bmc.order('on');
    bmc.setBootFlags(networkOnce);
    bmc.order('on');
    expect(bmc.bootFlags()).toEqual(networkOnce);
  });

  test('forgets flags after a minute, unless it was told to keep them', async () => {
    const { bmc, clock } = aBmc();
    bmc.setBootFlags(networkOnce);
    await clock.move(61_000);
    expect(bmc.bootFlags()).toEqual(new Uint8Array(5));
    bmc.keepsFlags = true;
    bmc.setBootFlags(networkOnce);
    await clock.move(61_000);
    expect(bmc.bootFlags()).toEqual(networkOnce);
  });
});

describe('a BMC that errs', () => {
  test('silent: says yes and does nothing', () => {
    const { bmc } = aBmc({ silent: 1 });
    expect([bmc.order('on'), bmc.readPower()]).toEqual(['ok', false]);
    expect([bmc.setBootFlags(networkOnce), bmc.bootFlags()]).toEqual(['ok', new Uint8Array(5)]);
  });

  test('refused: says no, to questions, too', () => {
    const { bmc } = aBmc({ refused: 1 });
    expect([bmc.order('on'), bmc.readPower(), bmc.setBootFlags(networkOnce)]).toEqual(['refused', undefined, 'refused']);
  });

  test('slow: does it later, with the flags of then', async () => {
    const { bmc, chassis, clock } = aBmc({ slow: 1, slowMs: [2000, 2000] });
    bmc.order('on');
    bmc.faults = {};
    bmc.setBootFlags(networkOnce);
    await clock.move(1999);
    expect(bmc.readPower()).toBe(false);
    await clock.move(1);
    expect([bmc.readPower(), chassis.boots[0]?.device]).toEqual([true, 'network']);
  });

  test('flipped: does it, and is back where it was soon after', async () => {
    const { bmc, clock } = aBmc({ flipped: 1, flippedMs: [700, 700] });
    bmc.order('on');
    expect(bmc.readPower()).toBe(true);
    await clock.move(700);
    expect(bmc.readPower()).toBe(false);
  });

  test('wrong state: tells the contrary', () => {
    const { bmc } = aBmc({ wrongState: 1 });
    expect(bmc.readPower()).toBe(true);
  });

  test('forgotten boot: reads back well, and does not count', () => {
    const { bmc, chassis } = aBmc({ forgottenBoot: 1 });
    bmc.setBootFlags(networkOnce);
    expect(bmc.bootFlags()).toEqual(networkOnce);
    bmc.order('on');
    expect(chassis.boots[0]?.device).toBe('normal');
  });

  test('nothing that was still to come happens once it is gone', async () => {
    const { bmc, clock } = aBmc({ slow: 1, slowMs: [10, 10] });
    bmc.order('on');
    bmc[Symbol.dispose]();
    await clock.move(10);
    expect(bmc.control.isOn()).toBe(false);
  });
});
