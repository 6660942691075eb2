import { definePlugin, type Plugin, type PowerSession } from '@sidero/core';
import * as z from 'zod';
import { type Chassis, ChassisControl } from '../bmc/chassis.ts';

/**
 * A power driver for machines in this process: no wire, no login, every ability.
 *
 * @param machineOf the machine whose Server has that name; undefined leaves the Server to other drivers
 * @example const machines = new Map<string, SimulatedMachine>();
 * await using sidero = await testSidero({ plugins: [simulatedPower((uuid) => machines.get(uuid))] });
 */
export function simulatedPower(machineOf: (uuid: string) => Chassis | undefined): Plugin {
  const controls = new Map<Chassis, ChassisControl>();
  const controlOf = (machine: Chassis) => {
    const control = controls.get(machine) ?? new ChassisControl(machine);
    controls.set(machine, control);
    return control;
  };
  const plugin = definePlugin({
    name: 'simulated-power',
    options: z.strictObject({}),
    setup: ({ powerDrivers }) =>
      powerDrivers.add({
        name: 'simulated',
        needsLogin: false,
        claims: ({ metadata }) => machineOf(metadata.name) !== undefined,
        open: async ({ metadata }) => sessionOver(controlOf(machineOf(metadata.name)!)),
      }),
  });
  return plugin();
}

function sessionOver(control: ChassisControl): PowerSession {
  return {
    isOn: async () => control.isOn(),
    on: () => control.power('on'),
    off: () => control.power('off'),
    cycle: () => control.power('cycle'),
    soft: () => control.power('soft'),
    networkBootOnce: async (mode) => {
      control.override = { device: 'network', mode, isPersistent: false };
    },
    probe: async () => ({ 'Boot override': 'network; once' }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
