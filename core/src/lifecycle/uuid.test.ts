import { expect, test } from 'vitest';
import { problemOfUuid } from './uuid.ts';

test('a real SMBIOS UUID is fine', () => {
  expect(problemOfUuid('4c4c4544-0042-4810-8054-b4c04f4a4c32')).toBeUndefined();
});

test.each([
  ['', 'empty'],
  ['00000000-0000-0000-0000-000000000000', 'all zeros'],
  ['ffffffff-ffff-ffff-ffff-ffffffffffff', 'all ones'],
  ['03000200-0400-0500-0006-000700080009', 'many machines share'],
  ['4C4C4544-0042-4810-8054-B4C04F4A4C32', 'lower case'],
  ['../../etc/passwd', 'hexadecimal'],
  ['4c4c4544-0042-4810-8054-b4c04f4a4c32\n', 'hexadecimal'],
])('%j is refused: %s', (uuid, words) => {
  expect(problemOfUuid(uuid)).toContain(words);
});
