import { posix } from 'node:path';

/** One thing in a file system; all belongs to root. */
export type Entry =
  | { readonly kind: 'directory'; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string }
  /** `content` is the bytes, or the path of a file that has them. */
  | { readonly kind: 'file'; readonly mode: number; readonly content: Uint8Array | string };

/** Files by path, without a slash in front: "usr/bin/wg". */
export type FileTree = ReadonlyMap<string, Entry>;

/** A file of text that everybody may read. */
export function textFile(text: string): Entry {
  return { kind: 'file', mode: 0o644, content: Buffer.from(text) };
}

/** The tree with every folder that something lies in, parents before children: what a layer has, in its order. */
export function withFolders(tree: FileTree): readonly (readonly [path: string, entry: Entry])[] {
  const all = new Map(tree);
  for (const path of tree.keys()) {
    for (let folder = posix.dirname(path); folder !== '.'; folder = posix.dirname(folder)) {
      if (!all.has(folder)) all.set(folder, { kind: 'directory', mode: 0o755 });
    }
  }
  // By bytes, not by locale: the same everywhere. A folder sorts before what lies in it.
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1));
}
