import { MemoryChassis, SimulatedBmc, simulatorDriver } from './index.ts';
import { describePowerDriver } from '../suites/power-driver.ts';
import { aServer } from '../fixtures.ts';

describePowerDriver('of the simulator', {
  abilities: ['isOn', 'off', 'cycle', 'soft', 'networkBootOnce', 'probe', 'changePassword'],
  patienceMs: 2000,
  start: async () => {
    const chassis = new MemoryChassis();
    const bmc = new SimulatedBmc({ chassis });
    const server = aServer();
    return {
      driver: simulatorDriver({ bmcOf: ({ metadata }) => (metadata.name === server.metadata.name ? bmc : undefined), timeoutMs: 200 }),
      server,
      login: { user: 'admin', pass: 'secret' },
      machine: { isOn: () => chassis.isOn(), networkBoots: () => chassis.boots.map(({ device }) => device === 'network') },
      sessions: () => bmc.sessions.size,
      silence: () => {
        bmc.faults = { lost: 1 };
      },
      [Symbol.asyncDispose]: async () => bmc[Symbol.dispose](),
    };
  },
});
