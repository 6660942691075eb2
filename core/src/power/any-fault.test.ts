import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SideroError } from '../errors.ts';
import type { PowerAction } from './index.ts';
import { aManagedServer, aRig } from './power.fixture.ts';

const { signal } = new AbortController();
const ACTIONS: readonly PowerAction[] = ['on', 'off', 'cycle', 'soft', 'network-boot'];
const MISDEEDS = [undefined, 'silent', 'busy', 'fault', 'unsupported', 'hang', 'lie', new Error('the driver is broken')] as const;
// Half of all answers are good ones: else nothing ever comes to an end but by a failure.
const misdeed = fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 3, arbitrary: fc.constantFrom(...MISDEEDS) });

test('whatever a device does, an order ends in time, with one of our errors or with proof; it is never told two things at once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        orders: fc.array(fc.constantFrom(...ACTIONS), { minLength: 1, maxLength: 4 }),
        misdeeds: fc.array(misdeed, { minLength: 1, maxLength: 40 }),
        answerMs: fc.constantFrom(0, 0, 200, 31_000),
        effectMs: fc.constantFrom(0, 3000, 11_000, 40_000),
        isOn: fc.boolean(),
        lacks: fc.subarray(['isOn', 'off', 'cycle', 'soft', 'networkBootOnce'] as const, { maxLength: 2 }),
      }),
      async ({ orders, misdeeds, lacks, ...rest }) => {
        const { clock, device, power } = aRig();
        Object.assign(device, rest, { lacks });
        let call = 0;
        device.misbehaves = () => misdeeds[call++ % misdeeds.length];
        for (const action of orders) {
          const before = clock.now().getTime();
          const end = await clock.until(power.act(aManagedServer(), { action }, signal).catch((thrown: unknown) => thrown));
          expect(end instanceof SideroError || typeof (end as { detail?: unknown }).detail === 'string').toBe(true);
          expect(clock.now().getTime() - before).toBeLessThan(10 * 60_000);
        }
        await clock.until(power.close());
        // A command that hangs for ever stays with the device when the next one comes.
        if (!misdeeds.includes('hang')) expect(device.mostAtOnce).toBe(1);
        const times = device.told.filter(({ verb }) => verb !== 'close').map(({ atMs }) => atMs);
        for (const [index, at] of times.entries()) expect((times[index + 10] ?? Number.POSITIVE_INFINITY) - at).toBeGreaterThanOrEqual(1000);
      },
    ),
    { numRuns: 150, seed: 4 },
  );
}, 60_000);

test('a device that does what it says and tells the truth ends up as it was told, and the proof is true', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...ACTIONS), { minLength: 1, maxLength: 6 }),
      fc.record({ effectMs: fc.constantFrom(0, 1500, 11_000), isOn: fc.boolean(), answerMs: fc.constantFrom(0, 700) }),
      async (orders, machine) => {
        const { clock, device, power } = aRig();
        Object.assign(device, machine);
        for (const action of orders) {
          const before = device.isOn;
          const { detail } = await clock.until(power.act(aManagedServer(), { action }, signal));
          expect(device.isOn).toBe(action !== 'off' && action !== 'soft');
          if (before === device.isOn && action !== 'cycle' && action !== 'network-boot') expect(detail).toMatch(/already$/);
        }
      },
    ),
    { numRuns: 60, seed: 4 },
  );
}, 60_000);
