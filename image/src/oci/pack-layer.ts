import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type Header, type Pack, pack } from 'tar-stream';
import { type Entry, type FileTree, withFolders } from '../file-tree.ts';

/** What a layer is called in a manifest, and where its bytes are meanwhile. */
export interface Blob {
  /** "sha256:…" */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly file: string;
}

/** A layer, packed. */
export interface Layer extends Blob {
  /** Digest of the tar before it was compressed. */
  readonly diffId: string;
  /** What is in it, for people. */
  readonly title: string;
}

/** The one time of everything: an image is the same whenever it is built. */
const MTIME = new Date(0);

/** Packs a tree as a compressed tar into `folder`. The same tree gives the same bytes. */
export async function packLayer(tree: FileTree, { title, folder }: { readonly title: string; readonly folder: string }): Promise<Layer> {
  const file = join(folder, `${title.replaceAll(/\W+/g, '-')}.tar.gz`);
  const [before, after] = [new Digest(), new Digest()];
  const tar = pack();
  const written = pipeline(tar, before, createGzip(), after, createWriteStream(file));
  await Promise.all([addAll(tar, tree), written]);
  return { title, file, digest: after.value(), diffId: before.value(), sizeBytes: (await stat(file)).size };
}

async function addAll(tar: Pack, tree: FileTree): Promise<void> {
  try {
    for (const [path, entry] of withFolders(tree)) await addEntry(tar, path, entry);
    tar.finalize();
  } catch (thrown) {
    tar.destroy(thrown as Error);
    throw thrown;
  }
}

async function addEntry(tar: Pack, path: string, entry: Entry): Promise<void> {
  const owner = { uid: 0, gid: 0, uname: '', gname: '', mtime: MTIME };
  if (entry.kind === 'directory') return add(tar, { ...owner, name: path, type: 'directory', mode: entry.mode });
  if (entry.kind === 'link') return add(tar, { ...owner, name: path, type: 'symlink', linkname: entry.target, mode: 0o777 });
  const content = typeof entry.content === 'string' ? await readFile(entry.content) : Buffer.from(entry.content);
  return add(tar, { ...owner, name: path, type: 'file', mode: entry.mode, size: content.length }, content);
}

function add(tar: Pack, headers: Partial<Header> & Pick<Header, 'name'>, content?: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null): void => (error ? reject(error) : resolve());
    if (content === undefined) tar.entry(headers, done);
    else tar.entry(headers, content, done);
  });
}

/** Lets bytes through and knows their SHA-256. */
class Digest extends Transform {
  readonly #hash = createHash('sha256');

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(chunk);
    done(undefined, chunk);
  }

  value(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}
