import { definePlugin, EventKind, isTrue, markTrue, type ServerBinding, ServerBindingKind, ServerKind } from '@sidero/core';
import { expect, test, vi } from 'vitest';
import * as z from 'zod';
import { NO_OVERRIDE } from '../bmc/chassis.ts';
import { aBinding, aServer } from '../fixtures.ts';
import { testSidero, type TestSidero } from '../test-sidero.ts';
import { inventory } from './hardware.ts';
import type { SimulatedMachine } from './machine.ts';

const soon = () => AbortSignal.timeout(15_000);
/** The default of vitest is a second, and busy hosts are late, not wrong. */
const until = (look: () => unknown) => vi.waitFor(look, { timeout: 15_000 });
const contents = ({ disks }: SimulatedMachine) => disks.map(({ content }) => content);
const statusOf = async ({ resources }: TestSidero, { uuid }: SimulatedMachine) =>
  (await resources.get(ServerKind, { name: uuid }, { live: true }))?.status;

test('a machine without a system on its disks boots from the network, one with a system boots that', async () => {
  await using sidero = await testSidero();
  const machine = sidero.machine();
  machine.powerOn();
  await machine.reached('clean', soon());
  machine.powerOff();
  expect(machine.state).toMatchObject({ stage: 'off', detail: 'it was switched off' });

  machine.disks[0]!.content = 'system';
  machine.powerOn();
  await until(() => expect(machine.state.stage).toBe('disk'));
  expect(machine.isOn()).toBe(true);
  machine.powerOn();
  expect(machine.state.stage).toBe('disk');
});

test('told by its BMC it boots from the network all the same', async () => {
  await using sidero = await testSidero();
  const machine = sidero.machine();
  machine.disks[1]!.content = 'system';
  machine.powerOn({ ...NO_OVERRIDE, device: 'network', mode: 'uefi' });
  await machine.reached('clean', soon());
  expect(contents(machine)).toEqual(machine.disks.map(() => 'nothing'));
});

test.each(['bios', 'uefi'] as const)('%s: one that asks the network first is sent to the system on its disk', async (firmware) => {
  await using sidero = await testSidero();
  const seeds = Array.from({ length: 20 }, (_, index) => `installed-${index}`);
  const machine = seeds.map((seed) => sidero.machine({ seed })).find(({ inventory: { firmware: found } }) => found === firmware)!;
  machine.disks[0]!.content = 'system';
  const name = machine.uuid;
  await sidero.resources.create(ServerKind, aServer({ metadata: { name }, spec: { accepted: true } }));
  await sidero.resources.create(ServerBindingKind, aBinding({ metadata: { name } }));
  await sidero.resources.change<ServerBinding>(ServerBindingKind, { name }, (draft) => {
    draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
  });
  await until(async () => expect(isTrue((await statusOf(sidero, machine))?.conditions, 'PXEBooted')).toBe(true));
  machine.powerOn({ ...NO_OVERRIDE, device: 'network' });
  await until(() => expect(machine.state.stage).toBe('disk'));
});

test.each(['kernel', 'wiping'] as const)('without power nothing more happens, also in the middle of %s', async (stage) => {
  await using sidero = await testSidero();
  const machine = sidero.machine({ misbehaviour: { dies: { stage, afterBytes: 1 } } });
  machine.powerOn();
  await until(() => expect(machine.state).toMatchObject({ stage: 'off', detail: expect.stringMatching(/^its power failed at /) as string }));
  expect(machine.isOn()).toBe(false);
  // It fails once.
  machine.powerOn();
  await machine.reached('clean', soon());
  expect(machine.history.filter((state) => state.stage === 'off')).toHaveLength(2);
});

test('the bytes of all its disks are told while it is wiped, and what became of each disk afterwards', async () => {
  await using sidero = await testSidero();
  const machine = sidero.machine({ wipeBytesPerSecond: 1e9 });
  machine.powerOn();
  await until(() => expect(machine.progress?.subject).toBe('6 disks'));
  const totalBytes = machine.inventory.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(machine.progress?.totalBytes).toBe(totalBytes);
  await machine.reached('clean', soon());
  const { isClean, wipe } = (await statusOf(sidero, machine))!;
  expect(isClean).toBe(true);
  expect(wipe?.disks).toEqual(
    machine.inventory.disks.map(({ serialNumber: serial, sizeBytes }) =>
      expect.objectContaining({ serial, sizeBytes, doneBytes: sizeBytes, state: 'done' }),
    ),
  );
});

test('a disk that cannot be opened keeps the machine dirty, and the API says which', async () => {
  await using sidero = await testSidero();
  const machine = sidero.machine({ misbehaviour: { disk: { index: 2, fault: 'unopenable' } } });
  machine.powerOn();
  const { deviceName } = machine.inventory.disks[2]!;
  await until(() => expect(machine.state.detail).toContain(`${deviceName} cannot be opened`));
  expect(contents(machine)[2]).toBe('data');
  expect((await statusOf(sidero, machine))?.isClean).not.toBe(true);
  const events = await sidero.resources.list(EventKind, {}, { live: true });
  expect(events.map(({ message }) => message)).toContainEqual(expect.stringContaining(`${deviceName} cannot be opened`));
});

test('a disk that a plan keeps is not touched, and its method is that of its rule', async () => {
  const keepSome = definePlugin({
    name: 'keep-some',
    options: z.strictObject({ serial: z.string(), wwn: z.string() }),
    setup: ({ hooks }, { serial, wwn }) =>
      hooks.wipe.tap('keep-some', (plan) =>
        'hold' in plan
          ? plan
          : {
              ...plan,
              disks: [
                { serial, method: 'keep', reason: 'the data is wanted' },
                { wwn, method: 'zero', reason: 'it is slow' },
              ],
            },
      ),
  });
  const { disks } = inventory('kept');
  await using sidero = await testSidero({ plugins: [keepSome({ serial: disks[4]!.serialNumber, wwn: disks[1]!.wwid })] });
  const machine = sidero.machine({ inventory: inventory('kept') });
  machine.powerOn();
  await machine.reached('clean', soon());
  expect(contents(machine)).toEqual(['nothing', 'nothing', 'nothing', 'nothing', 'data', 'nothing']);
  const told = (await statusOf(sidero, machine))?.wipe?.disks;
  expect(told?.map(({ method }) => method)).toEqual(['insecure', 'zero', 'insecure', 'insecure', 'keep', 'insecure']);
});

test('a machine that is claimed while it is wiped stops, and is not clean', async () => {
  await using sidero = await testSidero();
  const machine = sidero.machine({ wipeBytesPerSecond: 1e6 });
  machine.powerOn();
  await machine.reached('wiping', soon());
  await until(async () => expect((await statusOf(sidero, machine))?.boot?.wipeHandedAt).toBeDefined());
  await sidero.resources.create(ServerBindingKind, aBinding({ metadata: { name: machine.uuid } }));
  await until(() => expect(machine.state.stage).not.toBe('wiping'));
  expect(contents(machine)).toContain('data');
  expect((await statusOf(sidero, machine))?.isClean).not.toBe(true);
});

test("the original's agent wipes every disk alike, says nothing of each, and boots anew", async () => {
  await using sidero = await testSidero({ site: { bootAuth: 'report' } });
  const machine = sidero.machine({ agent: 'original' });
  machine.powerOn();
  await machine.reached('clean', soon());
  expect((await statusOf(sidero, machine))?.isClean).toBe(true);
  await until(() => expect(machine.history.filter(({ stage }) => stage === 'kernel').length).toBeGreaterThan(1));
});
