import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createNamespace, qemuSupport, startManagementPlane } from '@sidero/testing/qemu';
import { expect, test } from 'vitest';

const plugin = (name: string) => fileURLToPath(import.meta.resolve(`@sidero/plugin-${name}`));
const lacking = qemuSupport([]).map(({ what }) => what);

test.skipIf(lacking.length > 0)(
  `DHCP tells what its interface lacks, and answers as soon as it has it${lacking.length > 0 ? ` (lacks ${lacking.join(', ')})` : ''}`,
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sidero-dhcp-'));
    await using network = await createNamespace();
    try {
      await network.run(['ip', 'link', 'set', 'lo', 'up']);
      const config = join(dataDir, 'sidero.config.json');
      const plugins = [
        { from: plugin('apiserver'), options: { port: 0 } },
        { from: plugin('boot-ipxe'), options: { dhcp: [{ interface: 'rack0', mode: 'full', range: ['10.78.0.50', '10.78.0.99'] }] } },
      ];
      await writeFile(config, JSON.stringify({ endpoint: '10.78.0.1', plugins }));
      // What /sys tells of is the network in which it was mounted.
      const apart = ['unshare', '--mount', 'sh', '-c', 'mount -t sysfs none /sys && exec "$0" "$@"'] as const;
      await using plane = await startManagementPlane(
        { start: (command, options) => network.start([...apart, ...command], options) },
        { config, dataDir, env: { SIDERO_FETCH_ENVIRONMENTS: 'false' } },
      );
      const told = (text: string) => plane.line(new RegExp(`DHCP: interface .*rack0.* ${text}`), { timeoutMs: 30_000 });
      await told('is not there');
      await network.run(['ip', 'link', 'add', 'rack0', 'type', 'veth', 'peer', 'name', 'switch0']);
      await told('is down');
      await network.run(['ip', 'address', 'add', '10.78.0.1/24', 'dev', 'rack0']);
      await network.run(['ip', 'link', 'set', 'rack0', 'up']);
      await told('is up, but has no carrier');
      const pluggedMs = performance.now();
      await network.run(['ip', 'link', 'set', 'switch0', 'up']);
      await plane.line(/"msg":"DHCP answers"/, { timeoutMs: 30_000 });
      expect(performance.now() - pluggedMs).toBeLessThan(4000);
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  },
);
