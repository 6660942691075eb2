import { expect, test } from 'vitest';
import { connectionsOf, connectionsText } from './link-connections.ts';

test('what is written of connections is read again', () => {
  const connections = [
    { ownPort: 4001, machinePort: 40_122 },
    { ownPort: 4002, machinePort: 65_535 },
  ];
  expect(connectionsText(connections)).toBe('4001/40122 4002/65535');
  expect(connectionsOf(connectionsText(connections))).toEqual(connections);
  expect(connectionsText([])).toBe('');
});

test.each([undefined, '', ' ', '4002', '4002/', '0/1', '4002/65536', '4002/-1', '4002/1/2', 'a/b'])('no connection is read from %j', (text) => {
  expect(connectionsOf(text)).toEqual([]);
});
