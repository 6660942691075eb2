import { accessSync, constants } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { searchPath } from './child.ts';
import { type Firmware, OVMF_CODE, OVMF_VARS } from './machine.ts';

/** Something that QEMU machines need and this host lacks. */
export interface Missing {
  /** "qemu-system-x86_64 (the machine)". */
  readonly what: string;
  /** What to do about it, as a command where there is one. */
  readonly remedy: string;
  /** Debian package that brings it, where one does. */
  readonly package?: string;
}

const PROGRAMS: readonly { readonly program: string; readonly package: string; readonly purpose: string }[] = [
  { program: 'qemu-system-x86_64', package: 'qemu-system-x86', purpose: 'the machine' },
  { program: 'ip', package: 'iproute2', purpose: 'the link' },
  { program: 'unshare', package: 'util-linux', purpose: 'a network of its own' },
  { program: 'nsenter', package: 'util-linux', purpose: 'a network of its own' },
  { program: 'setpriv', package: 'util-linux', purpose: 'a network of its own' },
  { program: 'dnsmasq', package: 'dnsmasq-base', purpose: 'router advertisements' },
];

const FILES: readonly { readonly file: string; readonly package: string; readonly purpose: string; readonly firmware: Firmware }[] = [
  { file: '/usr/lib/ipxe/qemu/efi-virtio.rom', package: 'ipxe-qemu', purpose: 'network boot ROM', firmware: 'bios' },
  { file: OVMF_CODE, package: 'ovmf', purpose: 'UEFI firmware', firmware: 'uefi' },
  { file: OVMF_VARS, package: 'ovmf', purpose: 'UEFI firmware', firmware: 'uefi' },
];

/** What is missing here to run machines of these kinds (default: both); empty when all is there. Looks, changes nothing. */
export function qemuSupport(firmwares: readonly Firmware[] = ['bios', 'uefi']): readonly Missing[] {
  if (process.platform !== 'linux')
    return [
      { what: `Linux (this is ${process.platform}): network namespaces and tap devices`, remedy: 'use simulated machines, or run it on Linux' },
    ];
  const programs = PROGRAMS.filter(({ program }) => !hasProgram(program)).map((p) => lacks(`${p.program} (${p.purpose})`, p.package));
  const files = FILES.filter(({ file, firmware }) => firmwares.includes(firmware) && !isAllowed(file, constants.R_OK)).map((f) =>
    lacks(`${f.file} (${f.purpose})`, f.package),
  );
  return [...programs, ...files, ...(programs.length > 0 ? [] : missingRights())];
}

function lacks(what: string, debianPackage: string): Missing {
  return { what, remedy: `apt-get install --no-install-recommends ${debianPackage}`, package: debianPackage };
}

function missingRights(): Missing[] {
  const missing: Missing[] = [];
  if (!isAllowed('/dev/net/tun', constants.R_OK | constants.W_OK))
    missing.push({
      what: 'read and write access to /dev/net/tun (tap devices)',
      remedy: 'run it as root, in a container with --device /dev/net/tun',
    });
  const as = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const probe = spawnSync('unshare', [...as, '--net', '--', 'true'], { encoding: 'utf8' });
  if (probe.status !== 0)
    missing.push({
      what: `the right to make a network namespace (${probe.stderr.trim()})`,
      remedy: 'run it as root, in a container with --cap-add NET_ADMIN,SYS_ADMIN',
    });
  return missing;
}

function hasProgram(program: string): boolean {
  return searchPath()
    .split(delimiter)
    .some((folder) => isAllowed(join(folder, program), constants.X_OK));
}

function isAllowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
