import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ipmiSimSupport } from '@sidero/testing/bmc';
import { qemuSupport, thisHost } from '@sidero/testing/qemu';
import { expect, test } from 'vitest';
import { AGENT_IMAGE } from './pxe-site.ts';

const main = fileURLToPath(new URL('../kit/src/demo/main.ts', import.meta.url));
const isPossible = qemuSupport().length === 0 && ipmiSimSupport().length === 0 && existsSync(AGENT_IMAGE) && existsSync('.sidero/talos-stand-in');

test.skipIf(!isPossible)(
  'the demo with a QEMU machine behind a BMC goes from a bare machine to a node that is installed and heard through a real tunnel',
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sidero-demo-'));
    const command = [process.execPath, '--conditions=source', main, '--machines', 'qemu', '--servers', '1', '--once', '--data-dir', dataDir] as const;
    await using demo = await thisHost.start(command, { name: 'demo' });
    try {
      expect(await demo.exited, demo.lines.join('\n')).toBe('code 0');
      expect(JSON.parse(demo.lines.at(-1)!)).toEqual({ servers: 1, accepted: 1, clean: 1, installed: 1, streaming: 1, seconds: expect.any(Number) });
      expect(demo.lines.join('\n')).toMatch(
        / bios-1 accepted .* bios-1 wiping.* bios-1 clean .* bios-1 off {2}clean.* bios-1 installing.* bios-1 \| \[talos\]/s,
      );
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  },
  660_000,
);
