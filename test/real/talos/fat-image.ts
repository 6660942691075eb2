const SECTOR = 512;
/** One sector a cluster, and enough of them for FAT16. */
const CLUSTERS = 8192;
const FAT_SECTORS = Math.ceil(((CLUSTERS + 2) * 2) / SECTOR);
const ROOT_ENTRIES = 512;
const ROOT_SECTOR = 1 + FAT_SECTORS;
const DATA_SECTOR = ROOT_SECTOR + (ROOT_ENTRIES * 32) / SECTOR;
const DIRECTORY = 0x10;
const END_OF_CHAIN = 0xff_ff;

/** Sectors of the file system. */
export const FAT_SIZE = DATA_SECTOR + CLUSTERS;

/** A FAT16 file system with one file in folders: `EFI/BOOT/BOOTX64.EFI`. Names are short ones, in upper case. It starts at a sector of its disk. */
export function fatImage(path: string, { content, startSector }: { readonly content: Uint8Array; readonly startSector: number }): Uint8Array {
  const names = path.split('/');
  const image = Buffer.alloc(FAT_SIZE * SECTOR);
  writeHeader(image, startSector);
  // The folders have clusters 2, 3, …; the file has those that follow.
  const first = (depth: number) => depth + 2;
  const used = names.length - 1 + Math.ceil(content.length / SECTOR);
  if (used > CLUSTERS) throw new Error(`${content.length} bytes are too much for this file system`);
  for (const [depth, name] of names.entries()) {
    const isFile = depth === names.length - 1;
    const entry = { name: shortName(name), cluster: first(depth), ...(isFile ? { size: content.length } : {}) };
    if (depth === 0) writeEntries(image, ROOT_SECTOR, [entry]);
    else writeEntries(image, sectorOf(first(depth - 1)), [...dots(depth, first), entry]);
  }
  image.set(content, sectorOf(first(names.length - 1)) * SECTOR);
  writeChains(image, { folders: names.length - 1, clusters: used });
  return image;
}

interface Entry {
  readonly name: string;
  readonly cluster: number;
  /** Of a file; a folder has none. */
  readonly size?: number;
}

const sectorOf = (cluster: number) => DATA_SECTOR + cluster - 2;

function dots(depth: number, first: (depth: number) => number): readonly Entry[] {
  return [
    { name: '.'.padEnd(11), cluster: first(depth - 1) },
    // The root is 0.
    { name: '..'.padEnd(11), cluster: depth === 1 ? 0 : first(depth - 2) },
  ];
}

function shortName(name: string): string {
  const [stem = '', extension = ''] = name.split('.');
  return stem.padEnd(8) + extension.padEnd(3);
}

function writeHeader(image: Buffer, startSector: number): void {
  image.set([0xeb, 0x3c, 0x90]);
  image.write('MSDOS5.0', 3);
  image.writeUInt16LE(SECTOR, 11);
  image.writeUInt8(1, 13); // sectors a cluster
  image.writeUInt16LE(1, 14); // sectors before the table
  image.writeUInt8(1, 16); // tables
  image.writeUInt16LE(ROOT_ENTRIES, 17);
  image.writeUInt16LE(FAT_SIZE, 19);
  image.writeUInt8(0xf8, 21); // a hard disk
  image.writeUInt16LE(FAT_SECTORS, 22);
  image.writeUInt32LE(startSector, 28);
  image.writeUInt8(0x80, 36);
  image.writeUInt8(0x29, 38); // what follows is there: serial number, label, type
  image.write('NO NAME    FAT16   ', 43);
  image.writeUInt16LE(0xaa55, 510);
}

function writeEntries(image: Buffer, sector: number, entries: readonly Entry[]): void {
  for (const [index, { name, cluster, size }] of entries.entries()) {
    const at = sector * SECTOR + index * 32;
    image.write(name, at, 'latin1');
    image.writeUInt8(size === undefined ? DIRECTORY : 0x20, at + 11);
    image.writeUInt16LE(cluster, at + 26);
    image.writeUInt32LE(size ?? 0, at + 28);
  }
}

/** The clusters of each folder and of the file, chained. */
function writeChains(image: Buffer, { folders, clusters }: { readonly folders: number; readonly clusters: number }): void {
  const write = (cluster: number, next: number) => image.writeUInt16LE(next, SECTOR + cluster * 2);
  write(0, 0xff_f8);
  write(1, END_OF_CHAIN);
  for (let index = 0; index < clusters; index++) {
    const isLast = index < folders || index === clusters - 1;
    write(index + 2, isLast ? END_OF_CHAIN : index + 3);
  }
}
