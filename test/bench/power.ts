import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Power, PowerDriver, Server } from '@sidero/core';
import { ipmi } from '@sidero/plugin-ipmi';
import { aServer, type TestSidero, testSidero } from '@sidero/testing';
import { BMC_USERS, ipmiSimSupport } from '@sidero/testing/bmc';
import type { Measurement } from './measure.ts';

const FLEET = 1000;
const DEAD = 200;
/** Looks at each BMC of the fleet. */
const ROUNDS = 5;
const BATCH = 50;
const WARM = 1000;
const COLD = 100;
const PEER_RUNS = 30;

const { signal } = new AbortController();
const [administrator] = BMC_USERS;
const login = { user: administrator!.name, pass: administrator!.password };

/** Power over IPMI: one BMC beside ipmitool, a thousand of them, and a thousand of which a fifth is dead. */
export async function measurePower(): Promise<readonly Measurement[]> {
  await using sidero = await testSidero({ plugins: [ipmi()] });
  return [...(await besideIpmitool(sidero)), ...(await fleets(sidero))];
}

/** One BMC of ours, in another process: it answers at once, so what shows is the client. OpenIPMI's runs a program for each look. */
async function besideIpmitool(sidero: TestSidero): Promise<readonly Measurement[]> {
  if (ipmiSimSupport().length > 0) return [];
  const fleet = await startFleet({ count: 1, dead: 0 });
  const { port } = fleet.ports[0]!;
  const driver = sidero.running.kernel.tables.powerDrivers.for('bench').get('ipmi')!;
  const server = serverAt(port);
  const cold = await meanMs(COLD, async () => {
    await using session = await driver.open(server, { login, signal });
    await session.isOn!(signal);
  });
  const warm = await warmMs(driver, server);
  const peer = { name: 'ipmitool -C 17, a process each', value: await meanMs(PEER_RUNS, () => ipmitool(port)) };
  fleet.stop();
  const common = { unit: 'ms', digits: 2, peer };
  return [
    { ...common, what: 'power status, open session', ours: warm, note: `cipher suite 17, mean of ${WARM}` },
    { ...common, what: 'power status, session opened and closed', ours: cold, note: `cipher suite 17, mean of ${COLD}` },
  ];
}

async function warmMs(driver: PowerDriver, server: Server): Promise<number> {
  await using session = await driver.open(server, { login, signal });
  // Awaited here: the session ends with this function.
  return await meanMs(WARM, () => session.isOn!(signal));
}

async function ipmitool(port: number): Promise<void> {
  const args = ['-I', 'lanplus', '-C', '17', '-H', '127.0.0.1', '-p', String(port), '-U', login.user, '-P', login.pass, 'chassis', 'power', 'status'];
  const [code] = (await once(spawn('ipmitool', args, { stdio: 'ignore' }), 'exit')) as [number];
  if (code !== 0) throw new Error(`ipmitool ended with ${code}`);
}

async function fleets({ running }: TestSidero): Promise<readonly Measurement[]> {
  const { power } = running.kernel;
  const before = process.memoryUsage().rss;
  const alive = await poll(power, { dead: 0 });
  const megabytes = (process.memoryUsage().rss - before) / 1e6;
  const mixed = await poll(power, { dead: DEAD });
  const note = `${FLEET} BMCs of ours in another process, all asked at once, ${ROUNDS} times`;
  return [
    { what: 'CPU of a power status, 1,000 BMCs', ours: alive.cpuMs, unit: 'ms', digits: 2, note },
    { what: 'memory of 1,000 open sessions', ours: megabytes, unit: 'MB', digits: 0, note },
    {
      what: 'p99 of a power status, a fifth dead',
      ours: mixed.p99Ms,
      unit: 'ms',
      digits: 0,
      peer: { name: 'ours, the same BMCs and none dead', value: mixed.p99WithoutDeadMs },
      note: `${FLEET - DEAD} BMCs that answer, with and without ${DEAD} silent ones beside them`,
    },
  ];
}

interface Polled {
  readonly cpuMs: number;
  readonly p99Ms: number;
  readonly p99WithoutDeadMs: number;
}

async function poll(power: Power, { dead }: { dead: number }): Promise<Polled> {
  const fleet = await startFleet({ count: FLEET, dead });
  try {
    const [alive, silent] = [false, true].map((isDead) => fleet.ports.filter((bmc) => bmc.isDead === isDead).map(({ port }) => serverAt(port)));
    // The sessions, not all at once: the BMCs share one process here.
    for (let index = 0; index < alive!.length; index += BATCH) await rounds(power, alive!.slice(index, index + BATCH), 1);
    const without = await rounds(power, alive!, ROUNDS);
    const cpu = process.cpuUsage();
    const stop = new AbortController();
    const waiting = silent!.map((server) => keepAsking(power, server, stop.signal));
    const beside = await rounds(power, alive!, ROUNDS);
    const { user: userUs, system } = process.cpuUsage(cpu);
    stop.abort();
    await Promise.all(waiting);
    return { cpuMs: (userUs + system) / 1000 / beside.length, p99Ms: p99(beside), p99WithoutDeadMs: p99(without) };
  } finally {
    fleet.stop();
  }
}

// The breaker answers at once in between, as it does for the server loop.
async function keepAsking(power: Power, server: Server, until: AbortSignal): Promise<void> {
  while (!until.aborted) {
    await power.read(server, until).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** Durations of all looks, in milliseconds; a round is at least a second long, as devices are not asked more often than 10 times a second. */
async function rounds(power: Power, servers: readonly Server[], count: number): Promise<number[]> {
  const took: number[] = [];
  for (let round = 0; round < count; round++) {
    await Promise.all(
      servers.map(async (server) => {
        const startedMs = performance.now();
        const { state, problem } = await power.read(server, signal);
        if (state === 'unknown') throw problem ?? new Error('no state');
        took.push(performance.now() - startedMs);
      }),
    );
  }
  return took;
}

/** BMCs in a process of their own. */
interface Fleet {
  readonly ports: readonly { readonly port: number; readonly isDead: boolean }[];
  stop(): void;
}

async function startFleet({ count, dead }: { count: number; dead: number }): Promise<Fleet> {
  const script = fileURLToPath(new URL('bmc-fleet.ts', import.meta.url));
  const args = ['--conditions=source', script, '--count', String(count), '--dead', String(dead)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { ports: JSON.parse(line) as Fleet['ports'], stop: () => void child.stdin.end() };
}

const serverAt = (port: number): Server =>
  aServer({ metadata: { name: `bmc-${port}` }, spec: { bmc: { endpoint: '127.0.0.1', port, interface: 'lanplus', ...login } } });

async function meanMs(count: number, work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  for (let index = 0; index < count; index++) await work();
  return (performance.now() - startedMs) / count;
}

function p99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
}
