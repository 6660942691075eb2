import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { testCache } from '../kubernetes-parts.ts';

/** Release of the Talos modules that the stand-in is built on; `parts/build-talos.sh` has it, too. */
export const TALOS_VERSION = 'v1.13.0';

/** Where the stand-in is once it is built from the sources as they are now. */
export function talosProgram(): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(import.meta.dirname).toSorted()) {
    if (file.endsWith('.go.txt')) hash.update(`${file}\0`).update(readFileSync(join(import.meta.dirname, file)));
  }
  return join(testCache(), 'talos', `stand-in-${TALOS_VERSION}-${hash.digest('hex').slice(0, 12)}`);
}

/** The server of SideroLink that its library brings; `parts/build-talos.sh` builds it, too. */
export const SIDEROLINK_AGENT = join(testCache(), 'talos', 'siderolink-agent-v0.3.15');

/** Whether it has been built. */
export const isTalosBuilt = existsSync(talosProgram());
