import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ipxeFiles } from './boot-files.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ipxe-'));
  await mkdir(join(root, 'own', 'arm64-efi'), { recursive: true });
  await mkdir(join(root, 'system'));
});
afterEach(() => rm(root, { recursive: true }));

const put = (path: string, content: string) => writeFile(join(root, path), content);
const files = () => ipxeFiles([join(root, 'own'), join(root, 'system')], '#!ipxe\nour script\n');
const read = async (name: string, of = files()) => {
  const bytes = await of.find((file) => file.name === name)?.open();
  return bytes && Buffer.from(bytes).toString();
};

test('every name the documentation of the original promises is there', () => {
  expect(files().map(({ name }) => name)).toEqual(['undionly.kpxe', 'undionly.kpxe.0', 'ipxe.efi', 'snp.efi', 'ipxe-arm64.efi', 'snp-arm64.efi']);
});

test('a file comes from the first folder that has it, under any name it goes by', async () => {
  await put('system/undionly.kpxe', 'bios of the system');
  await put('system/snponly.efi', 'snp of the system');
  expect(await read('undionly.kpxe')).toBe('bios of the system');
  expect(await read('undionly.kpxe.0')).toBe('bios of the system');
  expect(await read('snp.efi')).toBe('snp of the system');
  await put('own/snponly.efi', 'snp of ours');
  await put('own/arm64-efi/snponly.efi', 'arm');
  expect(await read('snp.efi')).toBe('snp of ours');
  expect(await read('snp-arm64.efi')).toBe('arm');
});

test('a missing file is undefined, with a hint where to get it', async () => {
  expect(await read('ipxe.efi')).toBeUndefined();
  expect(files()[2]?.hint).toBe(`install Debian's package "ipxe", or put ipxe.efi into ${join(root, 'own')}`);
});

test('a build with a placeholder carries our script, one without stays as it is', async () => {
  await put('own/snp.efi', `MZ# *PLACEHOLDER START*${'#'.repeat(20)}# *PLACEHOLDER END*ZM`);
  await put('own/ipxe.efi', 'MZZM');
  expect(await read('snp.efi')).toMatch(/^MZ#!ipxe\nour script\n\n+ZM$/);
  expect(await read('ipxe.efi')).toBe('MZZM');
});

test('a placeholder that is too small is an error', async () => {
  await put('own/snp.efi', '# *PLACEHOLDER START*# *PLACEHOLDER END*');
  const [, , , snp] = ipxeFiles([join(root, 'own')], 'x'.repeat(100));
  await expect(snp!.open()).rejects.toMatchObject({ code: 'SIDERO_BOOT_FILE_UNPATCHABLE' });
});

test('a file is read once, and again when it has changed', async () => {
  await put('own/ipxe.efi', 'one');
  const of = files();
  const ipxe = of.find(({ name }) => name === 'ipxe.efi')!;
  expect(await ipxe.open()).toBe(await ipxe.open());
  await put('own/ipxe.efi', 'two');
  await utimes(join(root, 'own/ipxe.efi'), 1, 1);
  expect(await read('ipxe.efi', of)).toBe('two');
});
