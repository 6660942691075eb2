import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { ipmi } from '@sidero/plugin-ipmi';
import { managementApi } from '@sidero/plugin-management-api';
import { magicPacket, wakeOnLan } from '@sidero/plugin-wake-on-lan';
import { aServer } from '@sidero/testing';
import { type IpmiBmcOptions, MemoryChassis, startIpmiBmc, startPowerApi } from '@sidero/testing/bmc';
import { describePowerDriver, type PowerAbility, type PowerCase, registrations } from '@sidero/testing/suites';
import { describe } from 'vitest';

const machineOf = (chassis: MemoryChassis): PowerCase['machine'] => ({
  isOn: () => chassis.isOn(),
  networkBoots: () => chassis.boots.map(({ device }) => device === 'network'),
});

/** The IPMI driver, and a BMC of ours that speaks only what is named. */
async function ipmiCase(options: Partial<IpmiBmcOptions>, spoken: 'lan' | 'lanplus'): Promise<PowerCase> {
  const chassis = new MemoryChassis();
  const device = await startIpmiBmc({ ...options, chassis });
  const { address: endpoint, port, bmc } = device;
  return {
    driver: registrations(ipmi({ timeoutMs: 200, retries: 2 })).powerDrivers[0]!,
    server: aServer({ spec: { bmc: { endpoint, port, interface: spoken, user: 'admin', pass: 'secret' } } }),
    login: { user: 'admin', pass: 'secret' },
    machine: machineOf(chassis),
    sessions: () => bmc.sessions.size,
    silence: () => {
      bmc.faults = { lost: 1 };
    },
    [Symbol.asyncDispose]: () => device[Symbol.asyncDispose](),
  };
}

describe('drivers on the wire, and devices of ours', () => {
  const plain: readonly PowerAbility[] = ['isOn', 'off', 'cycle', 'soft', 'networkBootOnce', 'probe'];
  const abilities: readonly PowerAbility[] = [...plain, 'changePassword'];
  describePowerDriver('ipmi, suite 17', { abilities, start: () => ipmiCase({ suites: [17], speaksIpmi15: false }, 'lanplus') });
  describePowerDriver('ipmi, suite 3', { abilities, start: () => ipmiCase({ suites: [3] }, 'lanplus') });
  describePowerDriver('ipmi, IPMI 1.5', { abilities: plain, start: () => ipmiCase({ suites: [] }, 'lan') });

  describePowerDriver('management-api', {
    abilities: ['isOn', 'off', 'cycle', 'networkBootOnce'],
    start: async () => {
      const chassis = new MemoryChassis();
      const api = await startPowerApi({ chassis });
      return {
        driver: registrations(managementApi({ timeoutMs: 2000 })).powerDrivers[0]!,
        server: aServer({ spec: { managementApi: { endpoint: api.endpoint } } }),
        machine: machineOf(chassis),
        silence: () => api.silence(),
        [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
      };
    },
  });

  describePowerDriver('wake-on-lan', {
    abilities: [],
    answers: false,
    start: async () => {
      const mac = '52:54:00:be:ef:04';
      const chassis = new MemoryChassis();
      const card = createSocket('udp4').bind(0, '127.0.0.1');
      await once(card, 'listening');
      card.on('message', (packet) => {
        if (packet.equals(magicPacket(mac)) && !chassis.isOn()) chassis.powerOn({ device: 'normal', isPersistent: false });
      });
      return {
        driver: registrations(wakeOnLan({ broadcast: ['127.0.0.1'], port: card.address().port })).powerDrivers[0]!,
        server: aServer({ metadata: { annotations: { 'metal.sidero.dev/wake-on-lan': mac } } }),
        machine: { isOn: () => chassis.isOn() },
        async [Symbol.asyncDispose]() {
          const closed = once(card, 'close');
          card.close();
          await closed;
        },
      };
    },
  });
});
