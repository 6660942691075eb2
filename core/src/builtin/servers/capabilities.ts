import { messageOf, type Logger, type Power, type ResourceClient, ServerKind, setCondition } from '../../index.ts';
import type { Facts } from './step.ts';

/** Writes down, as condition `PowerCapabilities`, what the devices of a server really support. */
export interface Capabilities {
  /** Asks the devices when that is due: the first time that they answer, after a change of how they are reached, and then once a day. */
  tell(facts: Facts, signal: AbortSignal): Promise<void>;
  /** The server is gone. */
  forget(name: string): void;
}

export interface CapabilitiesParts {
  readonly resources: Pick<ResourceClient, 'change'>;
  readonly power: Pick<Power, 'probe'>;
  readonly log: Logger;
}

const CONDITION = 'PowerCapabilities';
const DAY_MS = 24 * 3600_000;
const RETRY_MS = 3600_000;

/** Fresh, having asked nobody. */
export function createCapabilities({ resources, power, log }: CapabilitiesParts): Capabilities {
  const asked = new Map<string, { readonly way: string; readonly nextMs: number }>();
  return {
    async tell({ server, drivers, power: reading, now }, signal) {
      const { name } = server.metadata;
      if (!reading?.driver || reading.problem) return;
      const way = JSON.stringify([drivers, server.spec?.bmc, server.spec?.managementApi]);
      const before = asked.get(name);
      if (before?.way === way && now.getTime() < before.nextMs) return;
      asked.set(name, { way, nextMs: now.getTime() + DAY_MS });
      // Told before we were restarted: a thousand servers need not be asked again at each start.
      if (!before && server.status?.conditions?.some(({ type }) => type === CONDITION)) return;
      try {
        const message = summary(await power.probe(server, signal));
        if (message === '') return;
        await resources.change(ServerKind, { name }, (draft) => {
          const conditions = setCondition(draft.status?.conditions, { type: CONDITION, status: 'True', message }, now);
          draft.status = { ...draft.status, conditions };
        });
      } catch (thrown) {
        signal.throwIfAborted();
        asked.set(name, { way, nextMs: now.getTime() + RETRY_MS });
        log.debug({ server: name, problem: messageOf(thrown) }, 'what its BMC supports could not be asked');
      }
    },
    forget: (name) => void asked.delete(name),
  };
}

/** "ipmi: Cipher suites 17, 3; Firmware 2.81. redfish: …" */
function summary(found: Readonly<Record<string, Readonly<Record<string, string>>>>): string {
  return Object.entries(found)
    .filter(([, about]) => Object.keys(about).length > 0)
    .map(
      ([driver, about]) =>
        `${driver}: ${Object.entries(about)
          .map(([what, value]) => `${what} ${value}`)
          .join('; ')}.`,
    )
    .join(' ');
}
