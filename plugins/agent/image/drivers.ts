import { access, cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Entry } from './cpio.ts';
import { BuildFailure, run } from './debian.ts';

/** Kernel modules a server may need to reach its network and its own disks, as paths under `kernel/`. */
const WANTED: readonly RegExp[] = [
  /^drivers\/net\/(ethernet|phy|mdio|pcs|vmxnet3|hyperv)\//,
  /^drivers\/net\/(virtio_net|xen-netfront)\./,
  /^drivers\/(ata|message\/fusion|mmc|virtio)\//,
  /^drivers\/scsi\//,
  /^drivers\/nvme\/host\/nvme\./,
  /^drivers\/block\/(virtio_blk|xen-blkfront)\./,
  /^drivers\/hv\/hv_vmbus\./,
  // Intel's Volume Management Device: NVMe disks are behind it on many servers.
  /^drivers\/pci\/controller\/(vmd|pci-hyperv)\./,
  /^drivers\/char\/ipmi\/ipmi_(msghandler|si|ssif|devintf)\./,
  /^drivers\/usb\/(host|storage)\//,
  // Asked for by name at run time, so no other module depends on them.
  /^(arch\/\w+\/)?crypto\/crc(32c|t10dif|32)/,
  /^lib\/crc/,
];

/** Fibre Channel, FCoE and iSCSI: what is behind them is shared storage, which must be neither listed nor wiped. */
const UNWANTED =
  /\/(lpfc|qla2xxx|qla4xxx|bfa|bnx2fc|bnx2i|qedf|qedi|fcoe|libfc|cxgbi|be2iscsi|elx|csiostor|fnic|snic|mptfc|mptlan|libiscsi|libiscsi_tcp|iscsi_tcp|iscsi_boot_sysfs|scsi_transport_fc|scsi_transport_iscsi|scsi_debug|sr_mod|st|ch|osst)(\/|\.ko)/;

/** The kernel of an unpacked package: its version and where its modules lie. */
export async function kernelOf(folder: string): Promise<{ version: string; image: string; modules: string }> {
  const [version] = await readdir(join(folder, 'lib/modules'));
  if (!version) throw new BuildFailure(`${folder} holds no kernel. Next: remove that folder and build again.`);
  return { version, image: join(folder, 'boot', `vmlinuz-${version}`), modules: join(folder, 'lib/modules', version) };
}

/** Which modules go into the image, with everything they depend on. Pure: `dependencies` is `modules.dep`. */
export function chosenModules(dependencies: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const chosen = new Set<string>();
  const add = (path: string): void => {
    if (chosen.has(path)) return;
    chosen.add(path);
    dependencies.get(path)?.forEach(add);
  };
  for (const path of dependencies.keys()) {
    const inKernel = path.replace(/^kernel\//, '');
    if (WANTED.some((pattern) => pattern.test(inKernel)) && !UNWANTED.test(path)) add(path);
  }
  return [...chosen].sort();
}

/** `modules.dep`: "a.ko: b.ko c.ko" a line. */
export function parseDependencies(text: string): ReadonlyMap<string, readonly string[]> {
  const lines = text.split('\n').filter((line) => line.includes(':'));
  return new Map(
    lines.map((line) => {
      const [path = '', rest = ''] = line.split(':');
      return [path, rest.split(' ').filter(Boolean)] as const;
    }),
  );
}

/** The modules and their indexes as archive entries. `busybox` runs on this machine and makes the indexes. */
export async function moduleEntries(kernel: { version: string; modules: string }, busybox: string): Promise<Map<string, Entry>> {
  const work = await mkdtemp(join(tmpdir(), 'sidero-agent-modules-'));
  try {
    const all = await dependenciesOf(kernel, busybox, join(work, 'all'));
    const paths = chosenModules(all);
    const staged = join(work, 'chosen', 'lib/modules', kernel.version);
    for (const path of paths) await copy(join(kernel.modules, path), join(staged, path));
    for (const index of ['modules.builtin', 'modules.order']) await copy(join(kernel.modules, index), join(staged, index));
    await depmod(busybox, join(work, 'chosen'), kernel.version);
    const indexes = (await readdir(staged)).filter((name) => name.startsWith('modules.') && name !== 'modules.order');
    const files = await Promise.all([...paths, ...indexes].map(async (path) => [path, await readFile(join(staged, path))] as const));
    return new Map(files.map(([path, data]) => [`lib/modules/${kernel.version}/${path}`, { kind: 'file', mode: 0o644, data }]));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function dependenciesOf(kernel: { version: string; modules: string }, busybox: string, work: string) {
  const known = join(kernel.modules, 'modules.dep');
  const isThere = await access(known).then(
    () => true,
    () => false,
  );
  if (!isThere) await depmod(busybox, join(kernel.modules, '../../..'), kernel.version);
  await mkdir(work, { recursive: true });
  return parseDependencies(await readFile(known, 'utf8'));
}

async function depmod(busybox: string, root: string, version: string): Promise<void> {
  await run(busybox, ['depmod', '-b', root, version], { hint: 'busybox of this architecture must run here.' });
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to);
}
