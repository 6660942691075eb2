import { expect, test } from 'vitest';
import { embedScript, hasPlaceholder } from './patch.ts';

const patch = (content: string, script: string) => embedScript(Buffer.from(content), script, 'snp.efi').toString();

test('the script takes the place of the placeholder, and the length stays', () => {
  const content = 'AA# *PLACEHOLDER START*\n#123456\n# *PLACEHOLDER END*ZZ';
  expect(patch(content, '#!ipxe\n')).toBe(`AA#!ipxe\n${'\n'.repeat(42)}ZZ`);
});

test('a script that fills the placeholder exactly fits', () => {
  expect(patch('AA# *PLACEHOLDER START*# *PLACEHOLDER END*', 'x'.repeat(40))).toBe(`AA${'x'.repeat(40)}`);
});

test.each([
  ['AA# *PLACEHOLDER START*# *PLACEHOLDER END*', 'x'.repeat(41), 'the script has 41 bytes, the placeholder 40'],
  ['AA', '', 'the start of the placeholder was not found'],
  ['# *PLACEHOLDER START*', '', 'the end of the placeholder was not found'],
  ['# *PLACEHOLDER END*# *PLACEHOLDER START*', '', 'the placeholder ends before it starts'],
])('%j is refused', (content, script, problem) => {
  expect(() => patch(content, script)).toThrow(
    expect.objectContaining({ code: 'SIDERO_BOOT_FILE_UNPATCHABLE', message: expect.stringContaining(problem) }),
  );
});

test('a binary without placeholder is recognised', () => {
  expect(hasPlaceholder(Buffer.from('MZ'))).toBe(false);
  expect(hasPlaceholder(Buffer.from('MZ# *PLACEHOLDER START*'))).toBe(true);
});
