import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { type BmcLogin, type PowerDriver, type PowerSession, type Server, SideroError } from '@sidero/core';
import { describe, expect, test, vi } from 'vitest';

/** What a driver may be able to do beside `on`. */
export type PowerAbility = Exclude<keyof PowerSession, 'on' | typeof Symbol.asyncDispose>;

const ABILITIES = ['isOn', 'off', 'cycle', 'soft', 'networkBootOnce', 'probe', 'changePassword'] as const satisfies readonly PowerAbility[];

/** A driver, and a device for it whose machine is off. */
export interface PowerCase extends AsyncDisposable {
  readonly driver: PowerDriver;
  /** What the driver is to be used for. */
  readonly server: Server;
  readonly login?: BmcLogin;
  /** The machine behind the device, as it really is. */
  readonly machine: {
    isOn(): boolean | Promise<boolean>;
    /** Whether each of its boots, oldest first, was told to be from the network. Absent: nobody can tell. */
    networkBoots?(): readonly boolean[];
  };
  /** Sessions that the device has open, and what else may be left of one (sockets). Absent: the device knows no sessions. */
  sessions?(): number;
  /** From now on the device answers nothing. Absent: it never does. */
  silence?(): void;
}

export interface PowerDriverCase {
  /** What a session of it can do beside `on`. */
  readonly abilities: readonly PowerAbility[];
  start(): Promise<PowerCase>;
  /** Those of them that this device lacks: SIDERO_BMC_UNSUPPORTED. Default none. */
  readonly lacks?: readonly PowerAbility[];
  /** Whether the device answers at all: it must be able to fall silent then. Default true. */
  readonly answers?: boolean;
  /** How long an effect may take. Default 5000. */
  readonly effectMs?: number;
  /** How long a device that is silent may go unnoticed. Default 30,000. */
  readonly patienceMs?: number;
}

/** So that it is found where it does not belong. */
const WRONG_PASSWORD = 'wrong-Zk7#pass';

/** What every power driver must do, whatever it speaks. */
export function describePowerDriver(name: string, given: PowerDriverCase): void {
  const { abilities, lacks = [], answers = true, effectMs = 5000, patienceMs = 30_000 } = given;
  const can = (ability: PowerAbility) => abilities.includes(ability) && !lacks.includes(ability);
  const signal = new AbortController().signal;
  const soon = (assertion: () => void | Promise<void>) => vi.waitFor(assertion, { timeout: effectMs, interval: 20 });
  const open = ({ driver, server, login }: PowerCase, other?: BmcLogin) => driver.open(server, { login: other ?? login, signal });
  const options = { timeout: patienceMs + 10 * effectMs + 20_000 };

  /** Runs a test with a device, and with a session on it that is closed afterwards. */
  const withSession = (run: (session: PowerSession, device: PowerCase) => Promise<void>) => async () => {
    await using device = await given.start();
    await using session = await open(device);
    await run(session, device);
  };

  describe(`power driver ${name}`, options, () => {
    test('claims its server, names the device, and claims no server that has none', async () => {
      await using device = await given.start();
      const { driver, server } = device;
      expect(driver.name).toMatch(/^[a-z][a-z0-9-]*$/);
      expect(driver.claims(server)).toBe(true);
      expect(driver.claims({ ...server, metadata: { name: 'nobody' }, spec: { accepted: true } })).toBe(false);
      if (driver.deviceOf) expect(driver.deviceOf(server)).not.toBe('');
    });

    test(
      `has these abilities and no other: ${['on', ...abilities].join(', ')}`,
      withSession(async (session) => {
        expect(ABILITIES.filter((ability) => session[ability] !== undefined)).toEqual(ABILITIES.filter((ability) => abilities.includes(ability)));
      }),
    );

    test(
      'on switches on, and once more is no error',
      withSession(async (session, { machine }) => {
        await session.on(signal);
        await soon(async () => expect(await machine.isOn()).toBe(true));
        await session.on(signal);
        await soon(async () => expect(await machine.isOn()).toBe(true));
      }),
    );

    test.each(lacks)('%s, which this device lacks, is SIDERO_BMC_UNSUPPORTED', async (ability) => {
      await using device = await given.start();
      await using session = await open(device);
      expect(await errorOf(() => use(session, ability))).toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
    });

    if (can('off')) {
      test(
        'off switches off, and once more is no error',
        withSession(async (session, { machine }) => {
          await session.on(signal);
          await soon(async () => expect(await machine.isOn()).toBe(true));
          await session.off!(signal);
          await soon(async () => expect(await machine.isOn()).toBe(false));
          await session.off!(signal);
          expect(await machine.isOn()).toBe(false);
        }),
      );
    }

    if (can('isOn')) {
      test(
        'isOn tells the truth, any number of times',
        withSession(async (session, { machine }) => {
          expect([await session.isOn!(signal), await session.isOn!(signal)]).toEqual([false, false]);
          await session.on(signal);
          await soon(async () => expect([await session.isOn!(signal), await machine.isOn()]).toEqual([true, true]));
        }),
      );
    }

    if (can('cycle')) cycles();
    if (can('networkBootOnce')) networkBoots();
    if (can('soft')) {
      test(
        'soft asks the machine to go off',
        withSession(async (session, { machine }) => {
          await session.on(signal);
          await soon(async () => expect(await machine.isOn()).toBe(true));
          await session.soft!(signal);
          await soon(async () => expect(await machine.isOn()).toBe(false));
        }),
      );
    }

    if (can('probe')) {
      test(
        'probe tells facts as text',
        withSession(async (session) => {
          const facts = Object.entries(await session.probe!(signal));
          expect(facts.length).toBeGreaterThan(0);
          for (const [fact, text] of facts) expect([fact, text]).toEqual([expect.stringMatching(/\S/), expect.stringMatching(/\S/)]);
        }),
      );
    }

    logins();
    aborts();
    if (answers) silence();

    test('a closed session leaves nothing: not at the device, and nothing open here', async () => {
      await using device = await given.start();
      const before = await settledHandles();
      const sessions = device.sessions?.();
      await useAll(await open(device));
      await vi.waitFor(() => expect(device.sessions?.()).toBe(sessions), { timeout: 10_000 });
      await vi.waitFor(() => expect(beyond(before, handles())).toEqual([]), { timeout: 10_000 });
    });

    test('several sessions, one after the other, work alike', async () => {
      await using device = await given.start();
      for (let round = 0; round < 5; round++) await useAll(await open(device));
      expect(await device.machine.isOn()).toBe(true);
    });
  });

  /** One session from its first verb to its end. */
  async function useAll(opened: PowerSession): Promise<void> {
    await using session = opened;
    await session.on(signal);
    await session.isOn?.(signal);
    await session.networkBootOnce?.('uefi', signal);
    await session.probe?.(signal);
  }

  async function use(session: PowerSession, ability: PowerAbility): Promise<void> {
    if (ability === 'changePassword') await session.changePassword!('new-Qx3pass', signal);
    else if (ability === 'networkBootOnce') await session.networkBootOnce!('uefi', signal);
    else await session[ability]!(signal);
  }

  function cycles(): void {
    test(
      'cycle boots a machine that is on anew',
      withSession(async (session, { machine }) => {
        await session.on(signal);
        await soon(async () => expect(await machine.isOn()).toBe(true));
        const boots = machine.networkBoots?.().length ?? 0;
        await session.cycle!(signal);
        await soon(async () => expect(await machine.isOn()).toBe(true));
        if (machine.networkBoots) await soon(() => expect(machine.networkBoots!()).toHaveLength(boots + 1));
      }),
    );

    test(
      'cycle of a machine that is off switches it on, or is unsupported',
      withSession(async (session, { machine }) => {
        try {
          await session.cycle!(signal);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
          return expect(await machine.isOn()).toBe(false);
        }
        await soon(async () => expect(await machine.isOn()).toBe(true));
      }),
    );
  }

  function networkBoots(): void {
    test.each(['uefi', 'bios'] as const)('networkBootOnce (%s) is for the next boot only, and may be repeated', async (mode) => {
      await using device = await given.start();
      await using session = await open(device);
      const { machine } = device;
      await session.networkBootOnce!(mode, signal);
      await session.networkBootOnce!(mode, signal);
      await session.on(signal);
      await soon(async () => expect(await machine.isOn()).toBe(true));
      if (!machine.networkBoots) return;
      expect(machine.networkBoots()).toEqual([true]);
      if (!session.off) return;
      await session.off(signal);
      await soon(async () => expect(await machine.isOn()).toBe(false));
      await session.on(signal);
      await soon(() => expect(machine.networkBoots!()).toEqual([true, false]));
    });
  }

  function logins(): void {
    test('a wrong password is SIDERO_BMC_AUTH, and stands in no text', async () => {
      await using device = await given.start();
      const { login } = device;
      if (!login) return expect(device.driver.needsLogin).toBe(false);
      const wrong = { user: login.user, pass: WRONG_PASSWORD };
      const error = await errorOf(async () => {
        await using session = await open(device, wrong);
        await (session.isOn?.(signal) ?? session.on(signal));
      });
      expect(error).toMatchObject({ code: 'SIDERO_BMC_AUTH' });
      expect(everything(error)).not.toContain(WRONG_PASSWORD);
      expect(everything(error)).not.toContain(login.pass);
      expect(await device.machine.isOn()).toBe(false);
    });

    if (!can('changePassword')) return;
    test('changePassword leaves the new one as the only one that logs in', async () => {
      await using device = await given.start();
      const user = device.login!.user;
      {
        await using session = await open(device);
        await session.changePassword!('new-Qx3pass', signal);
      }
      await using session = await open(device, { user, pass: 'new-Qx3pass' });
      await session.on(signal);
      const error = await errorOf(async () => {
        await using old = await open(device);
        await old.on(signal);
      });
      expect(error).toMatchObject({ code: 'SIDERO_BMC_AUTH' });
    });
  }

  function silence(): void {
    test('a device that is silent is SIDERO_BMC_UNREACHABLE, in bounded time', async () => {
      await using device = await given.start();
      device.silence!();
      const startedMs = performance.now();
      const error = await errorOf(async () => {
        await using session = await open(device);
        await session.on(signal);
      });
      expect(error).toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
      expect(performance.now() - startedMs).toBeLessThan(patienceMs);
      if (device.login) expect(everything(error)).not.toContain(device.login.pass);
    });

    test('a device that falls silent in a session is SIDERO_BMC_UNREACHABLE, in bounded time', async () => {
      await using device = await given.start();
      await using session = await open(device);
      await session.on(signal);
      device.silence!();
      const startedMs = performance.now();
      expect(await errorOf(() => session.on(signal))).toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
      expect(performance.now() - startedMs).toBeLessThan(patienceMs);
    });

    test('an abort ends a wait at once, with its reason', async () => {
      await using device = await given.start();
      const { driver, server, login } = device;
      await using session = await open(device);
      device.silence!();
      const waits = [
        (stop: AbortSignal) => session.on(stop),
        (stop: AbortSignal) => driver.open(server, { login, signal: stop }).then(switchOn(stop)),
      ];
      for (const wait of waits) {
        const reason = new Error('enough');
        const stop = new AbortController();
        const caught = errorOf(() => wait(stop.signal));
        setTimeout(() => stop.abort(reason), 50); // it is under way by then
        const startedMs = performance.now();
        expect(await caught).toBe(reason);
        expect(performance.now() - startedMs).toBeLessThan(2000);
      }
    });
  }

  function aborts(): void {
    test('what is aborted before it begins does nothing', async () => {
      await using device = await given.start();
      const { driver, server, login, machine } = device;
      const reason = new Error('enough');
      const aborted = AbortSignal.abort(reason);
      await using session = await open(device);
      expect(await errorOf(() => session.on(aborted))).toBe(reason);
      expect(await errorOf(() => driver.open(server, { login, signal: aborted }).then(switchOn(aborted)))).toBe(reason);
      expect(await machine.isOn()).toBe(false);
    });
  }
}

/** Switches on in that session, and closes it. */
const switchOn = (signal: AbortSignal) => async (opened: PowerSession) => {
  await using session = opened;
  await session.on(signal);
};

/** What a call rejects with. */
async function errorOf(call: () => Promise<unknown>): Promise<unknown> {
  let thrown: unknown;
  await call().then(
    () => expect.unreachable('it should have failed'),
    (reason: unknown) => (thrown = reason),
  );
  return thrown;
}

/** All text that an error holds, causes and details included. */
function everything(error: unknown): string {
  const text = error instanceof SideroError ? error.toText() : '';
  return `${text}\n${inspect(error, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null })}`;
}

/** Sockets and processes that are open in this process. */
function handles(): readonly string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind.endsWith('Wrap'))
    .sort();
}

/** What is there now and was not before; what was on its way out then may be gone. */
function beyond(before: readonly string[], now: readonly string[]): readonly string[] {
  const left = [...before];
  return now.filter((kind) => {
    const at = left.indexOf(kind);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** The same once nothing comes or goes any more: what was closed before is on its way out for a while. */
async function settledHandles(): Promise<readonly string[]> {
  let last: readonly string[] | undefined;
  for (;;) {
    const now = handles();
    if (last?.join() === now.join()) return now;
    last = now;
    await delay(100);
  }
}
