import { EventKind } from '@sidero/core';
import { aBootRequest, aServer, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';

test('that a machine waits is an Event of its Server, one for each reason, however often it asks', async () => {
  await using sidero = await testSidero({ objects: [aServer({ status: { isClean: false } })] });
  // Nobody has built that agent here.
  for (let asked = 0; asked < 5; asked++) expect(await sidero.lifecycle.boot(aBootRequest({ arch: 'arm64' }))).toMatchObject({ target: 'wait' });
  const told = async () => {
    const events = await sidero.resources.list(EventKind, { namespace: 'default' }, { live: true });
    return events.filter(({ reason }) => reason === 'Server Boot').map(({ message, count }) => [message, count]);
  };
  const waits = expect.stringMatching(/^The machine at 172\.25\.0\.101 asks what to boot, and has to wait: .*agent-arm64/) as string;
  await expect.poll(told).toEqual([[waits, 1]]);
});
