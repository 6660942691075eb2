import { expect, test } from 'vitest';
import { isMeant, nearest } from './nearest.ts';

const SERVERS = ['4c4c4544-0039-3010-804a-b7c04f503132', '4c4c4544-0039-3010-8048-b7c04f503133', 'd1bad2a4-0000-0000-0000-000000000001'];

test.each([
  ['unit', ['units', 'rack'], ['units']],
  ['autoAcept', ['autoAccept', 'port'], ['autoAccept']],
  ['statsu', ['status', 'on'], ['status']],
  ['--auto-acept-servers', ['--auto-accept-servers', '--api-port'], ['--auto-accept-servers']],
  ['4c4c4544-0039-3010-804a', SERVERS, [SERVERS[0]]],
  ['D1BAD2A4', SERVERS, [SERVERS[2]]],
  ['on', ['off'], []],
  ['anything', [], []],
])('who writes %s may mean one of %j', (word, names, meant) => expect(nearest(word, names)).toEqual(meant));

test('nothing near is nothing said', () => expect([isMeant('zone', ['rack']), isMeant('unit', ['units'])]).toEqual(['', 'perhaps "units" is meant']));
