import type { MachineIdentity } from '@sidero/core';
import { expect, test } from 'vitest';
import { ConfigDesk, type ConfigDeskLimits } from './config-desk.ts';
import type { ConfigSources } from './sources.ts';

const identity: MachineIdentity = { labels: {}, documents: [], patches: [] };

/** Objects that a configuration is made from; `version` is that of the Server. */
const sources = (config: string, version = '1', name = 'u'): ConfigSources =>
  ({
    binding: { metadata: { uid: 'b', resourceVersion: '1' } },
    metalMachine: { metadata: { uid: 'm', resourceVersion: '1' } },
    machine: { metadata: { uid: 'k', resourceVersion: '1' } },
    secret: { metadata: { uid: 's', resourceVersion: '1' }, data: { value: Buffer.from(config).toString('base64') } },
    server: { metadata: { name, uid: name, resourceVersion: version } },
    serverClass: undefined,
  }) as unknown as ConfigSources;

/** A desk, its clock, and how often it set to work. */
function aDesk(limits: ConfigDeskLimits = {}) {
  const seen = { nowMs: 0, rounds: 0 };
  const bind = async () => {
    seen.rounds++;
    return identity;
  };
  return { seen, desk: new ConfigDesk({ bind }, { now: () => seen.nowMs, ...limits }) };
}

test('a configuration is made once, until something that it comes from changes', async () => {
  const { desk, seen } = aDesk();
  const first = await desk.make(sources('machine: {}'));
  seen.nowMs = 1e9;
  expect(await desk.make(sources('machine: {}'))).toBe(first);
  expect(seen.rounds).toBe(1);
  await desk.make(sources('machine: {}', '2'));
  expect(seen.rounds).toBe(2);
});

test('a configuration that cannot be made is not tried at each question of its machine', async () => {
  const { desk, seen } = aDesk();
  const ask = (config: string, version?: string) => desk.make(sources(config, version));
  await expect(ask('machine: [')).rejects.toMatchObject({ code: 'SIDERO_MACHINE_CONFIG_INVALID' });
  seen.nowMs = 29_000;
  await expect(ask('machine: [')).rejects.toMatchObject({ code: 'SIDERO_MACHINE_CONFIG_INVALID' });
  expect(seen.rounds).toBe(1);
  // What a plugin adds may be right by now; nobody tells.
  seen.nowMs = 31_000;
  await expect(ask('machine: [')).rejects.toThrow();
  expect(seen.rounds).toBe(2);
  await ask('machine: {}', '2');
  expect(seen.rounds).toBe(3);
});

test('of more configurations than there is room for the oldest go', async () => {
  const { desk, seen } = aDesk({ mostBytes: 5000 });
  const make = (name: string) => desk.make(sources(`machine: {x: "${'y'.repeat(1000)}"}`, '1', name));
  for (const name of ['a', 'b', 'c']) await make(name);
  await make('c');
  await make('b');
  expect(seen.rounds).toBe(3);
  await make('a');
  expect(seen.rounds).toBe(4);
});

test('that a plugin was not ready is not remembered', async () => {
  let isReady = false;
  const bind = () => (isReady ? Promise.resolve(identity) : Promise.reject(new Error('not yet')));
  const desk = new ConfigDesk({ bind });
  await expect(desk.make(sources('machine: {}'))).rejects.toThrow('not yet');
  isReady = true;
  expect((await desk.make(sources('machine: {}'))).toString()).toContain('node-labels');
});
