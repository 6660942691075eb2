import { setImmediate as soon } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { BmcLogin } from '../registries.ts';
import type { Server } from '../resources/kinds.ts';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { createEvidence } from './evidence.ts';
import { createPower } from './index.ts';
import { aManagedServer, aRig, VirtualClock } from './power.fixture.ts';

const { signal } = new AbortController();
const login = (pass: string) => ({ endpoint: '10.0.0.7', user: 'admin', pass });

describe('one device', () => {
  test('is told one thing at a time, whoever asks', async () => {
    const { clock, device, power } = aRig({ limits: { commandsPerSecond: 1000 } });
    device.answerMs = 20;
    await clock.until(Promise.all(Array.from({ length: 20 }, (_, index) => power.read(aManagedServer(`server-${index % 4}`), signal))));
    expect(device.told.length).toBeGreaterThanOrEqual(20);
    expect(device.mostAtOnce).toBe(1);
  });

  test('is told at most ten things in any second', async () => {
    const { clock, device, power } = aRig();
    await clock.until(Promise.all(Array.from({ length: 35 }, () => power.read(aManagedServer(), signal))));
    const times = device.told.map(({ atMs }) => atMs);
    const inSecondFrom = times.map((from) => times.filter((at) => at >= from && at < from + 1000).length);
    expect(Math.max(...inSecondFrom)).toBe(10);
    expect(times.at(-1)! - times[0]!).toBe(3000);
  });

  test('that ignores its signal is given up after 30 s, and the next in turn comes through', async () => {
    const { clock, device, power } = aRig();
    device.misbehaves = (verb) => (verb === 'isOn' && device.told.length < 3 ? 'hang' : undefined);
    const [first, second] = await clock.until(Promise.all([power.read(aManagedServer(), signal), power.read(aManagedServer(), signal)]));
    expect(first.problem?.message).toBe('Server server-1: no answer from scripted at 10.0.0.7:623: no end of "isOn" in 30000 ms.');
    expect(second.state).toBe('off');
    expect(device.openSessions).toBe(1);
  });

  test('lets go of a caller at once when his signal aborts, in the queue and in a command', async () => {
    const { clock, device, power } = aRig();
    device.misbehaves = () => 'hang';
    const stop = new AbortController();
    const both = [power.read(aManagedServer(), stop.signal), power.read(aManagedServer(), stop.signal)].map((work) =>
      work.catch((thrown: unknown) => thrown),
    );
    await soon();
    stop.abort(new Error('enough'));
    expect(await Promise.all(both)).toEqual([new Error('enough'), new Error('enough')]);
    device.misbehaves = () => undefined;
    expect((await clock.until(power.read(aManagedServer(), signal))).state).toBe('off');
  });

  test('lets go of a caller at once also when its session does not close', async () => {
    const { clock, device, power } = aRig();
    await clock.until(power.read(aManagedServer(), signal));
    device.misbehaves = () => 'hang';
    const stop = new AbortController();
    const read = power.read(aManagedServer(), stop.signal).catch((thrown: unknown) => thrown);
    await soon();
    const before = clock.now();
    stop.abort(new Error('enough'));
    expect(await read).toEqual(new Error('enough'));
    expect(clock.now()).toEqual(before);
  });

  test('lets go of a caller in the queue at once, whatever the one before him does', async () => {
    const { clock, device, power } = aRig();
    device.misbehaves = () => 'hang';
    const first = power.read(aManagedServer(), signal);
    const stop = new AbortController();
    const second = power.read(aManagedServer(), stop.signal).catch((thrown: unknown) => thrown);
    await soon();
    stop.abort(new Error('enough'));
    expect(await second).toEqual(new Error('enough'));
    expect((await clock.until(first)).problem?.code).toBe('SIDERO_BMC_UNREACHABLE');
  });

  test('gets a session that opens too late closed', async () => {
    const { clock, device, power } = aRig();
    const { open } = device.driver;
    const gate = Promise.withResolvers<void>();
    Object.assign(device.driver, {
      open: async (server: Server, given: { login: BmcLogin | undefined; signal: AbortSignal }) => gate.promise.then(() => open(server, given)),
    });
    await clock.until(power.read(aManagedServer(), signal));
    gate.resolve();
    await clock.pass(0);
    expect(device.told.map(({ verb }) => verb)).toEqual(['open', 'close']);
  });
});

describe('sessions', () => {
  test('are used again, and closed after 50 s without use', async () => {
    const { clock, device, power } = aRig();
    for (let look = 0; look < 5; look++) {
      await clock.until(power.read(aManagedServer(), signal));
      await clock.pass(40_000);
    }
    expect(device.told.filter(({ verb }) => verb === 'open')).toHaveLength(1);
    await clock.pass(11_000);
    expect(device.openSessions).toBe(0);
  });

  test('are opened anew when login or BMC changed, after the old one was closed', async () => {
    const { clock, device, power } = aRig();
    await clock.until(power.read(aManagedServer(), signal));
    device.pass = 'other';
    await clock.until(power.read(aManagedServer('server-1', login('other')), signal));
    expect(device.told.map(({ verb }) => verb)).toEqual(['open', 'isOn', 'close', 'open', 'isOn']);
  });

  test('that the device has forgotten are opened anew without anybody noticing', async () => {
    const { clock, device, power } = aRig();
    await clock.until(power.read(aManagedServer(), signal));
    let lost = true;
    device.misbehaves = (verb) => (verb === 'isOn' && lost ? ((lost = false), 'fault') : undefined);
    expect(await clock.until(power.read(aManagedServer(), signal))).toMatchObject({ state: 'off', problem: undefined });
    expect(device.told.map(({ verb }) => verb)).toEqual(['open', 'isOn', 'isOn', 'close', 'open', 'isOn']);
  });

  test('a cycle whose answer was lost is not sent twice', async () => {
    const { clock, device, power } = aRig();
    device.isOn = true;
    device.misbehaves = (verb) => (verb === 'cycle' ? 'silent' : undefined);
    await expect(clock.until(power.act(aManagedServer(), { action: 'cycle' }, signal))).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
    expect(device.verbs).toEqual(['cycle']);
  });

  test('are all closed at the end', async () => {
    const { clock, device, power } = aRig();
    await clock.until(Promise.all([1, 2, 3].map((index) => power.read(aManagedServer(`server-${index}`), signal))));
    expect(device.openSessions).toBe(3);
    await clock.until(power.close());
    expect(device.openSessions).toBe(0);
  });
});

describe('a device that does not answer', () => {
  test('is spared after three silences, ten seconds first, then twice as long each time, up to five minutes', async () => {
    const { clock, device, power } = aRig();
    device.misbehaves = () => 'silent';
    const tries: number[] = [];
    for (let step = 0; step < 1500; step++) {
      const before = device.told.length;
      await clock.until(power.read(aManagedServer(), signal));
      if (device.told.length > before) tries.push(step);
      await clock.pass(1000);
    }
    const waits = tries.slice(3).map((at, index) => at - tries[index + 2]!);
    expect(waits.map((seconds) => Math.round(seconds / 10) * 10)).toEqual([10, 20, 40, 80, 160, 300, 300, 300]);
  });

  test('is spared also by those who waited in its queue meanwhile', async () => {
    const { clock, device, power } = aRig();
    device.misbehaves = () => 'silent';
    await clock.until(Promise.all(Array.from({ length: 10 }, () => power.read(aManagedServer(), signal))));
    expect(device.told).toHaveLength(3);
  });

  test('says until when', async () => {
    const { clock, device, power } = aRig();
    device.misbehaves = () => 'silent';
    for (let look = 0; look < 3; look++) await clock.until(power.read(aManagedServer(), signal));
    const { problem } = await power.read(aManagedServer(), signal);
    expect(problem?.message).toContain('it was silent 3 times in a row and is not asked again before 2026-01-01T00:00:10.000Z');
    expect(problem?.details).toMatchObject({ until: '2026-01-01T00:00:10.000Z' });
  });

  test('is asked as before once it answers', async () => {
    const { clock, device, power, metrics } = aRig();
    device.misbehaves = () => 'silent';
    for (let look = 0; look < 4; look++) await clock.until(power.read(aManagedServer(), signal));
    expect(await metrics.text()).toContain('sidero_power_breaker_open{driver="scripted"} 1');
    device.misbehaves = () => undefined;
    await clock.pass(10_000);
    expect((await clock.until(power.read(aManagedServer(), signal))).state).toBe('off');
    expect((await clock.until(power.read(aManagedServer(), signal))).state).toBe('off');
    expect(await metrics.text()).toContain('sidero_power_breaker_open{driver="scripted"} 0');
  });

  test('delays no other: 200 dead ones among 1,000 cost the rest nothing', async () => {
    const clock = new VirtualClock();
    const isDead = (server: Server) => Number(server.metadata.name.split('-')[1]) % 5 === 0;
    const driver = {
      name: 'many',
      claims: () => true,
      deviceOf: ({ metadata }: Server) => metadata.name,
      open: (server: Server) => (isDead(server) ? new Promise<never>(() => undefined) : Promise.resolve(aliveSession(clock))),
    };
    const power = createPower({
      drivers: () => [driver],
      resources: undefined as never,
      pxeMode: 'uefi',
      evidence: createEvidence(),
      log: createLogger({ level: 'silent' }),
      metrics: createMetrics(),
      clock,
    });
    const startedMs = clock.now().getTime();
    const took: number[] = [];
    const servers = Array.from({ length: 1000 }, (_, index) => aManagedServer(`server-${index}`));
    await clock.until(
      Promise.all(
        servers.map(async (server) => {
          await power.read(server, signal);
          if (!isDead(server)) took.push(clock.now().getTime() - startedMs);
        }),
      ),
    );
    expect(took).toHaveLength(800);
    expect(Math.max(...took)).toBe(200);
  });
});

function aliveSession(clock: VirtualClock) {
  return {
    on: async () => undefined,
    isOn: async (given: AbortSignal) => clock.pause(200, given).then(() => true),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

describe('a login that is refused', () => {
  test('is not tried again for five minutes, so that no BMC locks its user', async () => {
    const { clock, device, power } = aRig();
    const server = aManagedServer('server-1', login('wrong'));
    for (let step = 0; step < 299; step++) {
      const { problem } = await clock.until(power.read(server, signal));
      expect(problem?.code).toBe('SIDERO_BMC_AUTH');
      await clock.pass(1000);
    }
    expect(device.told).toHaveLength(1);
    await clock.pass(2000);
    await clock.until(power.read(server, signal));
    expect(device.told).toHaveLength(2);
  });

  test('is told in the words of the device, the same each time: a server at rest costs no write', async () => {
    const { clock, power } = aRig();
    const server = aManagedServer('server-1', login('wrong'));
    const texts = new Set<string>();
    for (let minute = 0; minute < 12; minute++) {
      texts.add(String((await clock.until(power.read(server, signal))).problem?.message));
      await clock.pass(60_000);
    }
    expect([...texts]).toEqual(['Server server-1: scripted at 10.0.0.7:623 refuses the login: scripted.']);
  });

  test('is not tried by those who waited in the queue meanwhile', async () => {
    const { clock, device, power } = aRig();
    const server = aManagedServer('server-1', login('wrong'));
    await clock.until(Promise.all(Array.from({ length: 10 }, () => power.read(server, signal))));
    expect(device.told).toHaveLength(1);
  });

  test('is tried at once when it was corrected', async () => {
    const { clock, power } = aRig();
    await clock.until(power.read(aManagedServer('server-1', login('wrong')), signal));
    expect((await clock.until(power.read(aManagedServer('server-1', login('right')), signal))).state).toBe('off');
  });

  test('is tried at once when the BMC has another address', async () => {
    const { clock, device, power } = aRig();
    const server = aManagedServer('server-1', login('wrong'));
    await clock.until(power.read(server, signal));
    await clock.until(power.read(aManagedServer('server-1', { ...login('wrong'), port: 624 }), signal));
    expect(device.told).toHaveLength(2);
  });

  test('is named in no text and in no log line', async () => {
    const lines: string[] = [];
    const log = createLogger({ level: 'trace', destination: { write: (line: string) => lines.push(line) } as never });
    const { clock, device, power } = aRig({ log });
    const server = aManagedServer('server-1', login('S3cr3t-pass'));
    device.misbehaves = () => new Error('login of admin with S3cr3t-pass failed');
    const { problem } = await clock.until(power.read(server, signal));
    device.misbehaves = () => undefined;
    await clock.until(power.read(server, signal));
    await clock.until(power.read(server, signal));
    expect(problem?.code).toBe('SIDERO_BMC_FAULT');
    expect(JSON.stringify([problem, problem?.message, String(problem?.cause), lines])).not.toContain('S3cr3t-pass');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { server: 'server-1', driver: 'scripted', device: '10.0.0.7:623', action: 'open', result: 'fault', code: 'SIDERO_BMC_FAULT' },
      { action: 'open', result: 'auth', code: 'SIDERO_BMC_AUTH' },
    ]);
  });
});

describe('what is counted', () => {
  test('commands by result, their seconds, and open sessions', async () => {
    const { clock, device, power, metrics } = aRig();
    await clock.until(power.read(aManagedServer(), signal));
    device.misbehaves = () => 'busy';
    await clock.until(power.read(aManagedServer(), signal));
    const text = await metrics.text();
    expect(text).toContain('sidero_power_commands_total{driver="scripted",action="isOn",result="ok"} 1');
    expect(text).toContain('sidero_power_commands_total{driver="scripted",action="isOn",result="busy"} 1');
    expect(text).toContain('sidero_power_seconds_count{driver="scripted",action="isOn"} 2');
    expect(text).toContain('sidero_power_sessions{driver="scripted"} 1');
  });
});
