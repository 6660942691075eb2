import { expect, test } from 'vitest';
import { SideroError } from './errors.ts';
import { boolean, duration, flagOf, integer, list, readSetting, text } from './settings.ts';

test.each([undefined, '', '-'])('a variable that is %j counts as unset, as in the original', (value) => {
  expect(readSetting(text('SIDERO_X'), { SIDERO_X: value })).toBeUndefined();
});

test.each([
  ['20m', 1_200_000],
  ['1h30m', 5_400_000],
  ['500ms', 500],
  ['1.5s', 1500],
])('the duration %s is %d ms, as Go reads it', (given, expected) => {
  expect(readSetting(duration('SIDERO_X'), { SIDERO_X: given })).toBe(expected);
});

test('booleans are read as Go reads its flags', () => {
  expect(['1', 't', 'TRUE', 'true'].map((value) => boolean('X').parse(value))).toEqual([true, true, true, true]);
  expect(['0', 'F', 'false'].map((value) => boolean('X').parse(value))).toEqual([false, false, false]);
});

test('a list drops the dashes that stand for nothing', () => {
  expect(list('X').parse('10.0.0.0/8, -,fd00::/8')).toEqual(['10.0.0.0/8', 'fd00::/8']);
});

test('a value of the wrong kind names the variable, the value and what is expected', () => {
  const read = () => readSetting(integer('SIDERO_TFTP_PORT'), { SIDERO_TFTP_PORT: 'sixty-nine' });
  expect(read).toThrow(SideroError);
  expect(read).toThrow('SIDERO_TFTP_PORT="sixty-nine" is not a whole number.');
});

test.each([
  ['SIDERO_CONTROLLER_MANAGER_AUTO_ACCEPT_SERVERS', '--auto-accept-servers'],
  ['SIDERO_CONTROLLER_MANAGER_CONTAINER_API_PORT', '--http-port'],
  ['SIDERO_TFTP_PORT', '--tftp-port'],
  ['CAPI_DIAGNOSTICS_ADDRESS', '--diagnostics-address'],
])('%s is also the flag %s', (variable, flag) => {
  expect(flagOf(variable)).toBe(flag);
});
