/** `npm run build:talos-stand-in`: builds the stand-in for Talos and what a machine boots of it, for the demo with QEMU machines. */
import { execFile } from 'node:child_process';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testCache } from '../kubernetes-parts.ts';
import { ensureTalosImage } from './image.ts';
import { isTalosBuilt, talosProgram } from './program.ts';

const TARGET = join(import.meta.dirname, '../../../.sidero/talos-stand-in');
const SCRIPT = join(import.meta.dirname, '../parts/build-talos.sh');

if (!isTalosBuilt) {
  process.stdout.write('building the stand-in for Talos with Go; the first time this takes about 2 min\n');
  await promisify(execFile)('sh', [SCRIPT, testCache(), talosProgram()]);
}
const { folder } = await ensureTalosImage();
await rm(TARGET, { recursive: true, force: true });
await cp(folder, TARGET, { recursive: true });
process.stdout.write(`${TARGET}\n`);
