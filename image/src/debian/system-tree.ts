import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { type Entry, type FileTree, textFile } from '../file-tree.ts';
import { runCommand } from '../run-command.ts';
import type { DebianPackage } from './debian-packages.ts';

/** User and group of containers that only follow the manager. */
const FOLLOWER = 65_532;

/** What Debian ships for people who sit before the machine, or for programs that the image does not have. Licences stay. */
const LEFT_OUT = [
  /^usr\/share\/(?!doc\/|common-licenses\/)/,
  /^usr\/share\/doc\/[^/]+\/(?!copyright$)/,
  /^(boot\/ipxe\.lkrn|etc\/(grub\.d|init\.d|default|update-motd\.d|wireguard)|usr\/lib\/(systemd|tmpfiles\.d|ipxe\/(qemu|.*\.(iso|lkrn|pxe|rom))))(\/|$)/,
  // Character sets; Node has its own.
  /\/gconv(\/|$)/,
  // Of iproute2, `ip` alone; of libc6, no tools; wg-quick is a script for bash.
  /^usr\/(s?bin\/(?!ip$|wg$|wireguard-go$|busybox$).|lib\/([^/]+\/)?(tc|iproute2|audit|perl5)(\/|$))/,
  /^(etc\/iproute2|usr\/include)(\/|$)/,
];

/** Files that installation scripts would have made. */
const MADE: Readonly<Record<string, Entry>> = {
  'etc/passwd': textFile(`root:x:0:0:root:/root:/bin/sh\nfollower:x:${FOLLOWER}:${FOLLOWER}:follower:/nonexistent:/bin/false\n`),
  'etc/group': textFile(`root:x:0:\nfollower:x:${FOLLOWER}:\n`),
  'etc/nsswitch.conf': textFile('passwd: files\ngroup: files\nhosts: files dns\n'),
  bin: { kind: 'link', target: 'usr/bin' },
  lib: { kind: 'link', target: 'usr/lib' },
  lib64: { kind: 'link', target: 'usr/lib64' },
  sbin: { kind: 'link', target: 'usr/sbin' },
  'usr/bin/cat': { kind: 'link', target: 'busybox' },
  'usr/bin/env': { kind: 'link', target: 'busybox' },
  'usr/bin/sh': { kind: 'link', target: 'busybox' },
  'var/run': { kind: 'link', target: '../run' },
};

/** Unpacks packages into one tree; nothing of them runs. Beside each one's licence lies its description, where scanners of images look for it. */
export async function systemTree(packages: readonly DebianPackage[]): Promise<FileTree> {
  const tree = new Map<string, Entry>();
  for (const { name, file } of packages) {
    const control = await runCommand(['dpkg-deb', '--field', file], { next: 'install the package dpkg' });
    tree.set(`var/lib/dpkg/status.d/${name.split('_')[0]}`, textFile(control.toString()));
    const content = await runCommand(['dpkg-deb', '--fsys-tarfile', file], { next: 'remove it, and it is downloaded again' });
    for (const [path, entry] of await entriesOf(content)) tree.set(path, entry);
  }
  return new Map([...tree, ...Object.entries(MADE)]);
}

async function entriesOf(tar: Buffer): Promise<ReadonlyMap<string, Entry>> {
  const found = new Map<string, Entry>();
  const reader = extract();
  const read = (async () => {
    for await (const entry of reader) {
      const path = placeOf(entry.header.name);
      const content = await buffer(entry);
      if (path === '' || LEFT_OUT.some((pattern) => pattern.test(path))) continue;
      const made = entryOf(entry.header, { content, found });
      if (made) found.set(path, made);
    }
  })();
  await Promise.all([pipeline(Readable.from(tar, { objectMode: false }), reader), read]);
  return found;
}

function entryOf({ type, mode, linkname }: Header, given: { content: Buffer; found: ReadonlyMap<string, Entry> }): Entry | undefined {
  if (type === 'directory') return { kind: 'directory', mode: mode & 0o7777 };
  if (type === 'symlink') return { kind: 'link', target: linkname! };
  // A second name of a file that came before.
  if (type === 'link') return given.found.get(placeOf(linkname!));
  // No file of the image changes who runs it.
  return type === 'file' ? { kind: 'file', mode: mode & 0o777, content: given.content } : undefined;
}

/** Where a file lies once /bin, /lib and /sbin are links into /usr, as on every Debian of today. */
function placeOf(name: string): string {
  const path = name.replace(/^\.?\/+/, '').replace(/\/$/, '');
  return path.replace(/^(bin|sbin|lib|lib64)(?=\/)/, 'usr/$1').replace(/^(bin|sbin|lib|lib64)$/, 'usr/$1');
}
