import { parseArgs } from 'node:util';
import { failure } from '../errors.ts';

/** What `npm run demo -- …` was asked for. */
export interface DemoOptions {
  readonly servers: number;
  readonly machines: 'simulated' | 'qemu';
  /** Ends when all machines have got as far as they shall, or at the deadline. */
  readonly isOnce: boolean;
  /** First of the ports to use; undefined: free ones. */
  readonly portBase: number | undefined;
  /** Undefined: `.sidero/demo`, or one beside it while another demo runs there. */
  readonly dataDir: string | undefined;
  readonly timeoutMs: number;
}

export const HELP = `Usage: npm run demo -- [options]

Starts the management plane on its own Kubernetes API, lets machines network-boot from nothing, and shows them until they are wiped and off.

  --servers N             how many machines (default 3; at most 500 simulated, 4 in QEMU)
  --machines KIND         simulated (default), or qemu: real firmware and real BMC simulators; needs QEMU, OpenIPMI and the right to make
                          network namespaces
  --once                  end when all have got as far as they shall: status 0, else 1 and the reason; the last line is JSON
  --timeout SECONDS       how long that may take (default 120, qemu 600)
  --port-base PORT        use PORT and the ports after it instead of free ones
  --data-dir DIR          where the demo keeps its files, emptied at start (default .sidero/demo, and .sidero/demo-2 beside a demo that
                          runs)
  --help
`;

const TIMEOUT_S = { simulated: 120, qemu: 600 } as const;
const MOST_SERVERS = { simulated: 500, qemu: 4 } as const;

/** Reads the command line; undefined when it asks for help. @throws SIDERO_DEMO_OPTION_INVALID */
export function demoOptions(args: readonly string[]): DemoOptions | undefined {
  const given = parse(args);
  if (given.help) return undefined;
  const { machines } = given;
  if (machines !== 'simulated' && machines !== 'qemu') throw invalid('--machines', `is "${machines}", not simulated or qemu`);
  return {
    machines,
    servers: whole('--servers', given.servers, { least: 1, most: MOST_SERVERS[machines] }),
    isOnce: given.once,
    portBase: given['port-base'] === undefined ? undefined : whole('--port-base', given['port-base'], { least: 1024, most: 65_000 }),
    dataDir: given['data-dir'],
    timeoutMs: 1000 * whole('--timeout', given.timeout ?? String(TIMEOUT_S[machines]), { least: 1, most: 86_400 }),
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        servers: { type: 'string', default: '3' },
        machines: { type: 'string', default: 'simulated' },
        once: { type: 'boolean', default: false },
        timeout: { type: 'string' },
        'port-base': { type: 'string' },
        'data-dir': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (thrown) {
    throw invalid('The command line', `cannot be read: ${(thrown as Error).message}`);
  }
}

function whole(option: string, text: string, range: { readonly least: number; readonly most: number }): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.least && value <= range.most) return value;
  throw invalid(option, `is "${text}", not a whole number from ${range.least} to ${range.most}`);
}

const invalid = (option: string, problem: string) => failure('SIDERO_DEMO_OPTION_INVALID', { option, problem });
