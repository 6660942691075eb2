import { failure } from './errors.ts';

const START = '# *PLACEHOLDER START*';
const END = '# *PLACEHOLDER END*';

/** Whether a binary reserves space for a script of ours. */
export function hasPlaceholder(binary: Uint8Array): boolean {
  return Buffer.from(binary.buffer, binary.byteOffset, binary.byteLength).includes(START);
}

/**
 * An iPXE binary with our script in the space its placeholder reserves, filled up with empty lines; same length as before.
 * @throws SIDERO_BOOT_FILE_UNPATCHABLE
 */
export function embedScript(binary: Uint8Array, script: string, file: string): Buffer {
  const patched = Buffer.from(binary);
  const refuse = (problem: string) => failure('SIDERO_BOOT_FILE_UNPATCHABLE', { file, problem });
  const start = patched.indexOf(START);
  if (start < 0) throw refuse('the start of the placeholder was not found');
  const end = patched.indexOf(END);
  if (end < 0) throw refuse('the end of the placeholder was not found');
  if (end < start) throw refuse('the placeholder ends before it starts');
  const region = patched.subarray(start, end + END.length);
  const bytes = Buffer.from(script);
  if (bytes.length > region.length) throw refuse(`the script has ${bytes.length} bytes, the placeholder ${region.length}`);
  region.fill('\n').set(bytes);
  return patched;
}
