import { expect, test } from 'vitest';
import { mergeAddresses } from './addresses.ts';

const ip = (address: string) => ({ type: 'InternalIP', address });
const host = { type: 'Hostname', address: 'rack1-u7' };

test('the same set in another order changes nothing', () => {
  const known = [ip('10.0.0.7'), host, ip('fd00::7')];
  expect(mergeAddresses(known, [ip('fd00::7'), ip('10.0.0.7'), ip('10.0.0.7')])).toBe(known);
});

test('told types are replaced and others kept, in a stable order', () => {
  expect(mergeAddresses([ip('10.0.0.7'), host], [ip('10.0.0.9'), ip('10.0.0.8'), ip('10.0.0.9')])).toEqual([host, ip('10.0.0.9'), ip('10.0.0.8')]);
});

test('an empty report clears nothing', () => {
  const known = [ip('10.0.0.7')];
  expect(mergeAddresses(known, [])).toBe(known);
});
