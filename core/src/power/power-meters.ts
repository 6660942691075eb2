import type { Metrics } from '../metrics.ts';

/** How a command ended. `refused`: it was not sent, because of the breaker or a refused login. */
export type CommandResult = 'ok' | 'auth' | 'busy' | 'fault' | 'unreachable' | 'unsupported' | 'refused' | 'aborted';

/** What is counted of power. */
export interface PowerMeters {
  command(of: { readonly driver: string; readonly action: string; readonly result: CommandResult }): void;
  took(of: { readonly driver: string; readonly action: string }, seconds: number): void;
  /** One session more, or (-1) less. */
  sessions(driver: string, change: 1 | -1): void;
  /** One device more that is not asked, or (-1) less. */
  breakers(driver: string, change: 1 | -1): void;
}

const SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30];

/** Meters over a system's metrics. */
export function createPowerMeters(metrics: Metrics): PowerMeters {
  const commands = metrics.counter('sidero_power_commands_total', 'Commands to power devices, and how they ended.', ['driver', 'action', 'result']);
  const seconds = metrics.histogram('sidero_power_seconds', 'Time a power device took for a command.', {
    labels: ['driver', 'action'],
    buckets: SECONDS,
  });
  return {
    command: (of) => commands({ ...of }),
    took: (of, value) => seconds(value, { ...of }),
    sessions: levels(metrics.gauge('sidero_power_sessions', 'Sessions with power devices that are open.', ['driver'])),
    breakers: levels(metrics.gauge('sidero_power_breaker_open', 'Power devices that do not answer and are spared.', ['driver'])),
  };
}

function levels(set: (value: number, labels: { driver: string }) => void): (driver: string, change: 1 | -1) => void {
  const counts = new Map<string, number>();
  return (driver, change) => {
    const count = (counts.get(driver) ?? 0) + change;
    counts.set(driver, count);
    set(count, { driver });
  };
}
