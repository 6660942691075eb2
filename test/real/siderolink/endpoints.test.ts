import { existsSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { isTalosBuilt } from '../talos/program.ts';
import { LinkSite, told } from './link-site.ts';

const isPossible = isTalosBuilt && existsSync('/dev/net/tun') && existsSync('/usr/bin/wireguard-go');

describe.skipIf(!isPossible)('a management plane with several addresses', () => {
  test('is first looked for at the first of them, by clients that know one endpoint and by those that know several', async () => {
    await using site = await LinkSite.start({ servers: 2, moreAddresses: ['10.98.0.7', '10.98.0.8'] });
    const [today, before] = site.uuids as [string, string];
    const { serverEndpoint } = await site.provision(today);
    expect(serverEndpoint.toSorted()).toEqual(['10.98.0.1:51821', '10.98.0.7:51821', '10.98.0.8:51821']);
    // On the wire the first and the last change places: who reads one string gets the last.
    const first = serverEndpoint.at(-1);
    await site.boot(today);
    await site.boot(before, { oldClient: true });
    await vi.waitFor(() => expect(told(site.talos, 'provisioned')).toHaveLength(2), { timeout: 60_000 });
    expect(told(site.talos, 'provisioned').map(({ link }) => link!.endpoint)).toEqual([first, first]);
  });
});
