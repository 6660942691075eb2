import { definePlugin, type Plugin } from '@sidero/core';
import * as z from 'zod';
import { simulatorDriver } from '../bmc/simulator-driver.ts';
import type { SimulatedBmc } from '../bmc/simulated-bmc.ts';

/**
 * Power for machines in this process, over BMCs without a wire and without a login, which may err as BMCs do.
 *
 * @param bmcOf the BMC of the machine whose Server has that name; undefined leaves the Server to other drivers
 * @example const bmcs = new Map<string, SimulatedBmc>();
 * await using sidero = await testSidero({ plugins: [simulatedPower((uuid) => bmcs.get(uuid))] });
 * const machine = sidero.machine();
 * bmcs.set(machine.uuid, new SimulatedBmc({ chassis: machine }));
 */
export function simulatedPower(bmcOf: (uuid: string) => SimulatedBmc | undefined): Plugin {
  const plugin = definePlugin({
    name: 'simulated-power',
    options: z.strictObject({}),
    setup: ({ powerDrivers }) =>
      powerDrivers.add(simulatorDriver({ name: 'simulated', needsLogin: false, bmcOf: ({ metadata }) => bmcOf(metadata.name) })),
  });
  return plugin();
}
