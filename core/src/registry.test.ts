import { expect, test } from 'vitest';
import { RegistryTable } from './registry.ts';

test('entries come in the order in which plugins added them, with their owner', () => {
  const table = new RegistryTable<{ name: string }>('diskBoots');
  table.for('b').add({ name: 'one' });
  table.for('a').add({ name: 'two' });
  expect(table.for('c').list()).toEqual([{ name: 'one' }, { name: 'two' }]);
  expect(table.for('c').ownerOf('two')).toBe('a');
});

test('a second entry of one name is refused, naming both plugins', () => {
  const table = new RegistryTable<{ name: string }>('diskBoots');
  table.for('first').add({ name: 'ipxe-exit' });
  expect(() => table.for('second').add({ name: 'ipxe-exit' })).toThrow('Plugins "first" and "second" both add "ipxe-exit" to diskBoots.');
});
