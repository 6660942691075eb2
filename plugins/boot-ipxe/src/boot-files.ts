import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BootFile } from '@sidero/core';
import { embedScript, hasPlaceholder } from './patch.ts';

// Name over TFTP and HTTP, and the names builds and distributions give that file, best first.
const SOURCES: Readonly<Record<string, readonly string[]>> = {
  'undionly.kpxe': ['undionly.kpxe'],
  // Some BIOS ROMs append the number of the boot layer.
  'undionly.kpxe.0': ['undionly.kpxe'],
  'ipxe.efi': ['ipxe.efi'],
  'snp.efi': ['snp.efi', 'snponly.efi'],
  'ipxe-arm64.efi': ['ipxe-arm64.efi', 'arm64-efi/ipxe.efi'],
  'snp-arm64.efi': ['snp-arm64.efi', 'arm64-efi/snp.efi', 'arm64-efi/snponly.efi'],
};

/**
 * The iPXE binaries, each from the first of `directories` that has it, read again when it changes. A build with a placeholder
 * carries `script`; one without takes its script from DHCP.
 */
export function ipxeFiles(directories: readonly string[], script: string): BootFile[] {
  return Object.entries(SOURCES).map(([name, sources]) => {
    const candidates = directories.flatMap((directory) => sources.map((source) => join(directory, source)));
    let known: { readonly version: string; readonly bytes: Uint8Array } | undefined;
    return {
      name,
      hint: `install Debian's package "ipxe", or put ${sources[0]} into ${directories[0]}`,
      async open() {
        const found = await firstFile(candidates);
        if (!found) return undefined;
        if (known?.version !== found.version) known = { version: found.version, bytes: withScript(await readFile(found.path), script, found.path) };
        return known.bytes;
      },
    };
  });
}

function withScript(binary: Uint8Array, script: string, path: string): Uint8Array {
  return hasPlaceholder(binary) ? embedScript(binary, script, path) : binary;
}

async function firstFile(paths: readonly string[]): Promise<{ readonly path: string; readonly version: string } | undefined> {
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) return { path, version: `${path} ${found.mtimeMs} ${found.size}` };
  }
  return undefined;
}
