import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { appendMissing, argProblem, overrideArgs, talosKernelArgs } from './kernel-args.ts';

const COMMON = ['init_on_alloc=1', 'slab_nomerge=', 'pti=on', 'consoleblank=0', 'nvme_core.io_timeout=4294967295', 'printk.devkmsg=on'];
const IMA = ['ima_template=ima-ng', 'ima_appraise=fix', 'ima_hash=sha512'];

describe('default arguments of Talos', () => {
  test.each([
    ['v1.9.5', [...COMMON, ...IMA]],
    ['v1.10.0', [...COMMON, ...IMA, 'selinux=1']],
    ['v1.10.99', [...COMMON, ...IMA, 'selinux=1']],
    ['v1.11.0', [...COMMON, 'selinux=1']],
    ['v1.12.0', [...COMMON, 'selinux=1', 'module.sig_enforce=1']],
    ['v1.13.0', [...COMMON, 'selinux=1', 'module.sig_enforce=1', 'proc_mem.force_override=never']],
    ['v1.14.0-alpha.1', [...COMMON, 'selinux=1', 'module.sig_enforce=1', 'proc_mem.force_override=never']],
    ['', [...COMMON, 'selinux=1', 'module.sig_enforce=1', 'proc_mem.force_override=never']],
    ['latest', [...COMMON, 'selinux=1', 'module.sig_enforce=1', 'proc_mem.force_override=never']],
  ])('of version %j', (version, args) => expect(talosKernelArgs(version)).toEqual(args));
});

describe('arguments laid over others', () => {
  const args = ['console=tty0', 'console=ttyS0', 'initrd=initramfs.xz', 'panic=30', 'sidero.mac=m', 'sidero.endpoint=e'];
  test.each([
    ['console=tty1 console=ttyS1', 'console=tty1 console=ttyS1 initrd=initramfs.xz panic=30 sidero.mac=m sidero.endpoint=e'],
    ['panic=0 foo bar=baz', 'console=tty0 console=ttyS0 initrd=initramfs.xz panic=0 sidero.mac=m sidero.endpoint=e foo bar=baz'],
    ['sidero.mac=zz console=ttyS3', 'console=ttyS3 initrd=initramfs.xz panic=30 sidero.mac=zz sidero.endpoint=e'],
    ['', 'console=tty0 console=ttyS0 initrd=initramfs.xz panic=30 sidero.mac=m sidero.endpoint=e'],
    ['quiet quiet a=1 a=2', 'console=tty0 console=ttyS0 initrd=initramfs.xz panic=30 sidero.mac=m sidero.endpoint=e quiet quiet a=1 a=2'],
    [' panic= \n', 'console=tty0 console=ttyS0 initrd=initramfs.xz panic sidero.mac=m sidero.endpoint=e'],
  ])('%j', (extra, all) => expect(overrideArgs(args, extra).join(' ')).toBe(all));

  test('an argument with an equals sign in its value keeps it', () => {
    expect(overrideArgs(['a=b=c', 'd=='], '')).toEqual(['a=b=c', 'd==']);
  });
});

test('an argument the user has set is not set again', () => {
  expect(appendMissing(['talos.config=none'], 'talos.config=', 'http://x')).toEqual(['talos.config=none']);
  expect(appendMissing(['quiet'], 'talos.config=', 'http://x')).toEqual(['quiet', 'talos.config=http://x']);
});

test('an argument with any control character is a problem that names it', () => {
  expect(argProblem(['quiet', 'a=1\nboot'])).toBe('kernel argument 2 ("a=1\\nboot") holds a control character');
  expect(argProblem(['console=ttyS0,115200', 'x="a b"', 'ü=ß'])).toBeUndefined();
  fc.assert(
    fc.property(
      fc.string(),
      fc.constantFrom('\n', '\r', '\0', '\t', '\u007f', '\u0085', '\u2028'),
      (text, bad) => argProblem([text + bad]) !== undefined,
    ),
  );
});
