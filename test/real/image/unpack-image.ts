import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ImageConfig } from './runtime-config.ts';

const run = promisify(execFile);

/** An image, unpacked. */
export interface UnpackedImage {
  readonly rootfs: string;
  readonly config: ImageConfig;
}

/** Unpacks an archive as an OCI runtime wants it, by umoci. */
export async function unpackImage(archive: string, folder: string): Promise<UnpackedImage> {
  const layout = join(folder, 'layout');
  await mkdir(layout);
  await run('tar', ['-xf', archive, '-C', layout]);
  await run('umoci', ['unpack', '--image', `${layout}:v0.7.0`, join(folder, 'image')]);
  const read = async <T>(path: string) => JSON.parse(await readFile(join(layout, path), 'utf8')) as T;
  const blob = ({ digest }: { readonly digest: string }) => join('blobs', digest.replace(':', '/'));
  const { manifests } = await read<{ manifests: [{ digest: string }] }>('index.json');
  const { config } = await read<{ config: { digest: string } }>(blob(manifests[0]));
  return { rootfs: join(folder, 'image/rootfs'), config: (await read<{ config: ImageConfig }>(blob(config))).config };
}
