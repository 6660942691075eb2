import { ServerKind } from '@sidero/core';
import { testSidero } from '@sidero/testing';
import { describePlugin } from '@sidero/testing/suites';
import { expect, test } from 'vitest';
import { example } from './index.ts';

describePlugin('example', { plugin: example, options: { room: 'a' }, readme: new URL('../README.md', import.meta.url) });

test('a server that registers gets the label', async () => {
  await using sidero = await testSidero({ plugins: [example({ room: 'a' })] });
  const machine = sidero.machine();
  await machine.bootTo('accepted');
  const server = await sidero.resources.get(ServerKind, { name: machine.uuid }, { live: true });
  expect(server?.metadata.labels).toMatchObject({ room: 'a' });
});
