import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { thisHost } from '@sidero/testing/qemu';
import { expect, test } from 'vitest';
import { buildGuest } from './tunnel-kernel/image.ts';

const isPossible = ['/usr/bin/qemu-system-x86_64', '/usr/bin/wg', '/usr/sbin/ip', '/usr/bin/apt-get'].every((file) => existsSync(file));

// Debian's kernel has the module that this host may lack.
test.skipIf(!isPossible)("the kernel's own WireGuard is made, used, taken over after a crash, missed and deleted", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'siderolink-kernel-'));
  try {
    const { kernel, initramfs } = await buildGuest(folder);
    const machine = ['-accel', 'tcg', '-m', '768', '-nographic', '-no-reboot', '-nic', 'none'];
    // A busy host makes a guest's kernel complain in the middle of our lines.
    const boot = ['-kernel', kernel, '-initrd', initramfs, '-append', 'console=ttyS0 loglevel=0 nowatchdog panic=-1'];
    await using guest = await thisHost.start(['qemu-system-x86_64', ...machine, ...boot], { name: 'guest' });
    await guest.line(/guest ended with/, { timeoutMs: 240_000 });
    const facts = guest.lines.flatMap((line) => (/FACT (.+?) (["{[\d tf].*)$/.exec(line.trim()) ?? []).slice(1, 3));
    expect(
      Object.fromEntries(Array.from({ length: facts.length / 2 }, (_, index) => [facts[2 * index], JSON.parse(facts[2 * index + 1]!) as unknown])),
    ).toEqual({
      kind: 'kernel',
      link: true,
      mtu: '1280',
      address: true,
      port: '51821',
      forwarding: '0',
      peers: 451,
      met: true,
      left: 451,
      'still met': true,
      'after removal': [['fdae:2859:5bb1:7a03::5']],
      lost: 'the interface siderolink is gone',
      deleted: true,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
