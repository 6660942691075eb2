import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../errors.ts';
import { HOST } from '../platform.ts';
import { runCommand } from '../run-command.ts';

/** A package of Debian's archive, downloaded. */
export interface DebianPackage {
  /** "libc6_2.36-9_amd64.deb": name, version and architecture. */
  readonly name: string;
  readonly file: string;
}

/** What runs in the image, each with why; what these need comes along. */
const WANTED = [
  // The system's name and version, the texts of licences, the usual folders.
  'base-files',
  // `sh` and `cat`, which hand the tunnel's key to `wg`; and something to look around with.
  'busybox-static',
  // Boot files of machines.
  'ipxe',
  // `ip`, for the tunnel.
  'iproute2',
  'libc6',
  'libgcc-s1',
  'libstdc++6',
  // The tunnel where the node's kernel has no WireGuard, and `wg` where it has.
  'wireguard-go',
  'wireguard-tools',
] as const;

/**
 * What Debian wants with them for the scripts of an installation, which do not run here, and for programs of iproute2 that are left out (`tc`, `ss`, `arpd`).
 * apt is told that these are there already.
 */
const LEFT_OUT = ['debconf', 'mawk', 'libcap2-bin', 'libdb5.3', 'libdb5.3t64', 'libselinux1', 'libtirpc3', 'libtirpc3t64', 'libxtables12'];

const NEXT = 'the image is made of Debian packages: build it on Debian or Ubuntu, after apt-get update';

/**
 * Downloads the packages of the image into `cache`, unless they are there; apt chooses the versions, and checks their signatures. Alphabetical.
 * `architecture` is Debian's name: "amd64".
 */
export async function debianPackages(cache: string, architecture: string): Promise<readonly DebianPackage[]> {
  const apt = await emptySystem(cache, architecture);
  // Of what lies in the archives' folder apt says nothing: it is told of an empty one.
  const nowhere = join(cache, 'no-archives');
  await mkdir(join(nowhere, 'partial'), { recursive: true });
  const uris = await runCommand(['apt-get', 'install', ...apt, '--option', `Dir::Cache::archives=${nowhere}`, '--print-uris', ...WANTED], {
    next: NEXT,
  });
  const names = [...uris.toString().matchAll(/^'[^']*' (\S+\.deb) /gm)].map(([, name]) => name!).sort();
  if (names.length === 0) throw failure('SIDERO_IMAGE_COMMAND_FAILED', { command: 'apt-get', problem: 'it offers no packages', next: NEXT });
  const folder = join(cache, 'archives');
  const known = new Set(await readdir(folder));
  if (names.some((name) => !known.has(name))) await runCommand(['apt-get', 'install', ...apt, '--download-only', ...WANTED], { next: NEXT });
  return names.map((name) => ({ name, file: join(folder, name) }));
}

/** Options of an apt that installs into nothing, from this machine's sources. Lists of another architecture are fetched each time. */
async function emptySystem(cache: string, architecture: string): Promise<readonly string[]> {
  const own = join(cache, architecture);
  for (const folder of [join(cache, 'archives/partial'), join(own, 'lists/partial')]) await mkdir(folder, { recursive: true });
  const status = join(own, 'status');
  await writeFile(status, LEFT_OUT.map((name) => present(name, architecture)).join('\n'));
  const isForeign = architecture !== HOST.architecture;
  const settings = {
    'Dir::State::status': status,
    'Dir::State::extended_states': join(own, 'extended_states'),
    'Dir::Cache': own,
    'Dir::Cache::archives': join(cache, 'archives'),
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Install-Recommends': 'false',
    'Debug::NoLocking': 'true',
    ...(isForeign && { 'Dir::State::lists': join(own, 'lists') }),
  };
  const options = ['--yes', '--quiet=2', ...Object.entries(settings).flatMap(([key, value]) => ['--option', `${key}=${value}`])];
  if (isForeign) await runCommand(['apt-get', 'update', ...options], { next: NEXT });
  return options;
}

/** As it stands in dpkg's list. */
function present(name: string, architecture: string): string {
  const provides = name === 'debconf' ? 'Provides: debconf-2.0\n' : name === 'mawk' ? 'Provides: awk\n' : '';
  return `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nMulti-Arch: foreign\nVersion: 99:0\nMaintainer: nobody\n${provides}Description: left out\n`;
}
