import { describePowerDriver, type PowerCase } from '@sidero/testing/suites';
import { aDriver, aServerWith } from './driver.fixture.ts';
import { FakeService, LOGIN } from './fake-service.fixture.ts';

async function start(hasSessions: boolean): Promise<PowerCase> {
  const service = await new FakeService().listen();
  service.hasSessions = hasSessions;
  return {
    driver: aDriver({ timeoutMs: 2000 }),
    server: aServerWith({ endpoint: service.url }),
    login: LOGIN,
    machine: { isOn: () => service.systems.get('1')?.PowerState === 'On', networkBoots: () => service.networkBoots },
    sessions: () => service.sessions.size,
    silence: () => {
      service.isSilent = true;
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

const abilities = ['isOn', 'off', 'cycle', 'soft', 'networkBootOnce', 'probe', 'changePassword'] as const;

describePowerDriver('redfish, by session', { abilities, start: () => start(true) });
describePowerDriver('redfish, by basic authentication', { abilities, start: () => start(false) });
