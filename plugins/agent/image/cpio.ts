/** One entry of an archive. `mode` holds the permission bits only. */
export type Entry =
  | { readonly kind: 'file'; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'device'; readonly mode: number; readonly major: number; readonly minor: number };

const TYPE_BITS = { file: 0o100_000, directory: 0o040_000, link: 0o120_000, device: 0o020_000 } as const;

/**
 * An archive in cpio's "newc" form, as Linux unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst). All belongs to
 * root and is of 1970, so the same entries give the same bytes. Paths have no leading slash; missing parent directories are added.
 */
export function cpio(entries: ReadonlyMap<string, Entry>): Uint8Array {
  const all = withParents(entries);
  const records = [...all.keys()].sort().map((path, index) => record(path, all.get(path)!, index + 1));
  return Buffer.concat([...records, record('TRAILER!!!', { kind: 'file', mode: 0, data: new Uint8Array() }, 0)]);
}

function withParents(entries: ReadonlyMap<string, Entry>): Map<string, Entry> {
  const all = new Map(entries);
  for (const path of entries.keys()) {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join('/');
      if (!all.has(parent)) all.set(parent, { kind: 'directory' });
    }
  }
  return all;
}

function record(path: string, entry: Entry, inode: number): Uint8Array {
  const data = dataOf(entry);
  const name = Buffer.from(`${path}\0`);
  const device = entry.kind === 'device' ? [entry.major, entry.minor] : [0, 0];
  const permissions = entry.kind === 'file' || entry.kind === 'device' ? entry.mode : entry.kind === 'directory' ? 0o755 : 0o777;
  const links = entry.kind === 'directory' ? 2 : 1;
  // Inode, mode, uid, gid, links, time, size, device of the file system, device of the node, length of the name, checksum.
  const fields = [inode, TYPE_BITS[entry.kind] | permissions, 0, 0, links, 0, data.length, 0, 0, ...device, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([header, name, padding(header.length + name.length), data, padding(data.length)]);
}

function dataOf(entry: Entry): Uint8Array {
  if (entry.kind === 'file') return entry.data;
  return entry.kind === 'link' ? Buffer.from(entry.target) : new Uint8Array();
}

const padding = (length: number) => new Uint8Array((4 - (length % 4)) % 4);
