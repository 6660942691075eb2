import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConsoleFollower } from './console.ts';

const SIZES = { vmlinuz: 8_000_000, 'initramfs.xz': 50_000_000 };

/** Stages in the order in which a console goes through them. */
function stagesOf(...texts: readonly string[]): readonly string[] {
  const follower = new ConsoleFollower(SIZES);
  return texts.flatMap((text) => (follower.push(text) ? [follower.stage] : []));
}

// As SeaBIOS, Debian's iPXE, its kernel and the agent write them, shortened.
const BIOS = [
  '\x1b[2JSeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n',
  'iPXE (PCI 00:02.0) starting execution...ok\r\niPXE initialising devices...ok\r\n',
  'Configuring (net0 52:54:00:77:00:01)... ok\r\n',
  'http://10.77.0.1:8081/boot.ipxe... ok\r\nboot.ipxe : 790 bytes [script]\r\n',
  'Configuring (net0 52:54:00:77:00:01)... ok\r\n',
  'http://10.77.0.1:8081/ipxe... ok\r\n',
  '/env/agent-amd64/vmlinuz... ok\r\n',
  '/env/agent-amd64/initramfs.xz... 27%\b\b\b\b    \b\b\b\b 71%\b\b\b\b    \b\b\b\b ok\r\n',
  'Probing EDD (edd=off to disable)... o',
  '[    0.000000] Linux version 6.1.0-56-amd64\r\n',
  '[   15.600359] [sidero] agent 0.1.0, Node v24.21.0\r\n',
  '[   22.060432] [sidero] accepted, told to wipe\r\n',
  '[   22.061432] [sidero] wiping /dev/vda (DISK-1, 64 MiB) by insecure\r\n',
  '[   22.401432] [sidero] wipe complete\r\n',
];

test('a BIOS machine is followed from its firmware to clean', () => {
  const stages = ['ipxe', 'dhcp', 'ipxe', 'dhcp', 'ipxe', 'kernel', 'initrd', 'linux', 'agent', 'accepted', 'wiping', 'clean'];
  expect(stagesOf(...BIOS)).toEqual(stages);
});

test('a machine that boots the stand-in for Talos is followed until that runs', () => {
  const event = (name: string, detail = '') => `{"uuid":"4c4c","event":"${name}"${detail && `,"detail":"${detail}"`}}\r\n`;
  const texts = [
    event('retry', 'status 503'),
    event('config', '4000 bytes'),
    event('installed', '/dev/vda'),
    'SeaBIOS (version 1)\r\n',
    event('running'),
  ];
  expect(stagesOf(...texts)).toEqual(['configuring', 'installing', 'firmware', 'running']);
});

test.each([
  ['accepted, waiting; nothing is wiped: the Server is cordoned', 'the Server is cordoned'],
  ['the wipe failed: /dev/sdb cannot be opened', '/dev/sdb cannot be opened'],
])('"%s" is an accepted machine that goes no further, and why', (line, detail) => {
  const follower = new ConsoleFollower(SIZES);
  follower.push('[   22.1] [sidero] wiping /dev/sdb\r\n');
  expect(follower.push(`[   22.2] [sidero] ${line}\r\n`)).toBe(true);
  expect(follower).toMatchObject({ stage: 'accepted', detail });
});

test('a UEFI machine is seen in DHCP and TFTP of its own', () => {
  const texts = ['>>Start PXE over IPv4.\r\n', '  NBP filename is snp.efi\r\n Downloading NBP file...\r\n', 'iPXE initialising devices...ok\r\n'];
  expect(stagesOf(...texts)).toEqual(['dhcp', 'tftp', 'ipxe']);
});

test('the percentage that iPXE overwrites becomes bytes', () => {
  const follower = new ConsoleFollower(SIZES);
  follower.push('/env/agent-amd64/initramfs.xz... 27%\b\b\b\b');
  expect(follower.progress).toEqual({ subject: 'initramfs.xz', doneBytes: 13_500_000, totalBytes: 50_000_000 });
  follower.push('    \b\b\b\b 71%');
  expect(follower.progress?.doneBytes).toBe(35_500_000);
});

test('it does not matter how the text is cut', () => {
  const whole = BIOS.join('');
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length), { maxLength: 30 }), (cuts) => {
      const edges = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
      const follower = new ConsoleFollower(SIZES);
      for (let index = 1; index < edges.length; index++) follower.push(whole.slice(edges[index - 1], edges[index]));
      expect(follower.stage).toBe('clean');
    }),
  );
});
