import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom } from './random.ts';

/** Sizes of the agent's kernel and initial RAM disk. */
export interface StandInSizes {
  readonly kernelBytes: number;
  readonly initrdBytes: number;
}

/** Small enough that a hundred machines fetch them in a second. */
const SMALL: StandInSizes = { kernelBytes: 100_000, initrdBytes: 300_000 };

const IPXE_BYTES: Readonly<Record<string, number>> = {
  'undionly.kpxe': 70_000,
  'ipxe.efi': 1_000_000,
  'snp.efi': 200_000,
  'ipxe-arm64.efi': 1_000_000,
  'snp-arm64.efi': 200_000,
};

/**
 * Writes what simulated machines fetch to where a management plane with this data directory looks: iPXE binaries, and the agent's
 * kernel and initial RAM disk. They are noise that begins with a line saying so: simulated machines only count the bytes, real ones could not boot them.
 */
export async function writeStandIns(dataDir: string, sizes: StandInSizes = SMALL): Promise<void> {
  const ipxeDir = join(dataDir, 'ipxe');
  const ipxe = Object.entries(IPXE_BYTES).map(([name, bytes]) => ({ directory: ipxeDir, name, bytes }));
  const agentDir = join(dataDir, 'env', 'agent-amd64');
  const agent = [
    { directory: agentDir, name: 'vmlinuz', bytes: sizes.kernelBytes },
    { directory: agentDir, name: 'initramfs.xz', bytes: sizes.initrdBytes },
  ];
  await Promise.all(
    [...ipxe, ...agent].map(async ({ directory, name, bytes }) => {
      await mkdir(directory, { recursive: true });
      await writeFile(join(directory, name), standIn(name, bytes));
    }),
  );
}

function standIn(name: string, bytes: number): Uint8Array {
  const content = Buffer.alloc(bytes);
  // A stretch of noise over and over: nothing here compresses, and megabytes of fresh noise would take their time.
  content.fill(seededRandom('stand-in', name).bytes(65_521));
  content.write(`stand-in for ${name} in tests and the demo; boots nothing\n`);
  return content;
}
