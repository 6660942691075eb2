import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Child } from './child.ts';
import type { Network } from './network.ts';

/** SeaBIOS with the iPXE ROM of the network card, or OVMF with its own PXE client. */
export type Firmware = 'bios' | 'uefi';

/** Debian's OVMF for 4 MiB of flash: the code, and the variables that each machine gets a copy of. */
export const OVMF_CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
export const OVMF_VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd';

const MIB = 1024 * 1024;

export interface Disk {
  readonly bus: 'virtio' | 'nvme' | 'sata';
  readonly sizeMiB: number;
  readonly serial: string;
  /** What is on a new one: nothing (default), or random bytes, as from somebody's encrypted data. */
  readonly content?: 'nothing' | 'noise';
}

export interface MachineOptions {
  /** For messages and file names; unique in its network. */
  readonly name: string;
  readonly firmware: Firmware;
  /** SMBIOS system UUID. */
  readonly uuid: string;
  readonly mac: string;
  /** SMBIOS system serial number. */
  readonly serial: string;
  /** Default 512. */
  readonly memoryMiB?: number;
  /** Default virtio. */
  readonly nic?: 'virtio' | 'e1000';
  /** Default none. */
  readonly disks?: readonly Disk[];
  /** Where its BMC (OpenIPMI's `ipmi_sim`) serves the machine's own side, over TCP. Default: it has none. */
  readonly bmc?: { readonly address: string; readonly port: number };
  /** What it tries first; the other comes after it. Default the network. */
  readonly bootFrom?: 'network' | 'disk';
  /** The end of `network.addTap()` to plug it into. Default: a new one. */
  readonly tap?: string;
  /** What a reboot by the guest does: a real one (default), or the end of the machine. */
  readonly onReboot?: 'reboot' | 'end';
  /** The serial console as it comes, too. */
  readonly onText?: (text: string) => void;
}

/** A machine that is on; its lines are what it writes to its first serial port. `stop` cuts its power. */
export type Machine = Child;

/** The file that holds a disk of a machine, byte for byte. */
export function diskFile(network: Network, { name, index }: { readonly name: string; readonly index: number }): string {
  return join(network.dir, `${name}-disk${index}.raw`);
}

/** Makes those disks of a machine that are not there yet; `startMachine` does it too. */
export async function makeDisks(network: Network, { name, disks = [] }: MachineOptions): Promise<void> {
  for (const [index, disk] of disks.entries()) await makeDisk(diskFile(network, { name, index }), disk);
}

async function makeDisk(file: string, { sizeMiB, content }: Disk): Promise<void> {
  if (existsSync(file)) return;
  const handle = await open(file, 'wx');
  await handle.truncate(sizeMiB * MIB);
  for (let written = 0; content === 'noise' && written < sizeMiB; written++) await handle.write(randomBytes(MIB), 0, MIB, written * MIB);
  await handle.close();
}

/** Switches a machine on. Its disks are those of the time before, or new ones. */
export async function startMachine(network: Network, options: MachineOptions): Promise<Machine> {
  const { name, firmware } = options;
  const file = (what: string) => join(network.dir, `${name}-${what}`);
  if (firmware === 'uefi') await copyFile(OVMF_VARS, file('vars.fd'));
  await makeDisks(network, options);
  const tap = options.tap ?? (await network.addTap());
  const args = qemuArguments(options, { tap, file, isAccelerated: process.env['SIDERO_QEMU_KVM'] === '1' });
  return network.start(['qemu-system-x86_64', ...args], { name: `machine ${name}`, ...(options.onText ? { onText: options.onText } : {}) });
}

/** The command line of a machine. */
export function qemuArguments(options: MachineOptions, host: { tap: string; isAccelerated: boolean; file(what: string): string }): readonly string[] {
  const { firmware, uuid, serial, memoryMiB = 512, disks = [] } = options;
  // /dev/kvm often exists where it does not work (nested, containers), and emulation is fast enough.
  const processor = host.isAccelerated ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg', '-cpu', 'max'];
  // Without graphics SeaBIOS shows itself, and iPXE, on the serial port.
  const board = ['-machine', firmware === 'bios' ? 'q35,graphics=off' : 'q35', '-m', String(memoryMiB), '-nodefaults', '-display', 'none'];
  const console = ['-monitor', 'none', '-serial', 'stdio', ...(options.onReboot === 'end' ? ['-no-reboot'] : [])];
  const identity = ['-uuid', uuid, '-smbios', `type=1,manufacturer=Sidero,product=QEMU,serial=${comma(serial)}`];
  const variables = firmware === 'uefi' ? flash(host.file('vars.fd')) : [];
  // OVMF of 2024 and later offers no network boot without a source of random numbers.
  const random = ['-device', 'virtio-rng-pci'];
  // Of the boot indices the lowest is tried first; the card's is fixed.
  const firstDisk = options.bootFrom === 'disk' ? 1 : CARD_INDEX + 1;
  const drives = disks.flatMap((disk, index) => diskArguments(disk, { index, bootIndex: firstDisk + index, file: host.file(`disk${index}.raw`) }));
  const devices = [networkCard(options, host.tap), drives, bmcArguments(options)].flat();
  return [...processor, ...board, ...console, ...identity, ...variables, ...random, ...devices];
}

// The registers of a BMC, as an operating system finds them (KCS), and a wire to who answers.
function bmcArguments({ bmc }: MachineOptions): readonly string[] {
  if (!bmc) return [];
  const wire = `socket,id=bmc,host=${bmc.address},port=${bmc.port},reconnect=1`;
  return ['-chardev', wire, '-device', 'ipmi-bmc-extern,id=bmc0,chardev=bmc', '-device', 'isa-ipmi-kcs,bmc=bmc0'];
}

function flash(variables: string): readonly string[] {
  const flashes = ['-drive', `if=pflash,format=raw,readonly=on,file=${OVMF_CODE}`, '-drive', `if=pflash,format=raw,file=${comma(variables)}`];
  // Before it goes on from the network to the disk it would wait half a minute for an address server for IPv6.
  return [...flashes, '-fw_cfg', 'name=opt/org.tianocore/IPv6PXESupport,string=n'];
}

/** Boot index of the network card; there is room for disks before it and after it. */
const CARD_INDEX = 100;

function networkCard({ firmware, nic = 'virtio', mac }: MachineOptions, tap: string): readonly string[] {
  const model = { virtio: 'virtio-net-pci', e1000: 'e1000' }[nic];
  // Without its ROM the card leaves UEFI to OVMF's own PXE client, which is what real servers have.
  const rom = firmware === 'uefi' ? ',romfile=' : '';
  return ['-netdev', `tap,id=net0,ifname=${tap},script=no,downscript=no`, '-device', `${model},netdev=net0,mac=${mac},bootindex=${CARD_INDEX}${rom}`];
}

function diskArguments({ bus, serial }: Disk, { index, bootIndex, file }: { index: number; bootIndex: number; file: string }): readonly string[] {
  const model = { virtio: 'virtio-blk-pci', nvme: 'nvme', sata: `ide-hd,bus=ide.${index}` }[bus];
  const drive = `if=none,id=disk${index},format=raw,discard=unmap,file=${comma(file)}`;
  return ['-drive', drive, '-device', `${model},drive=disk${index},serial=${comma(serial)},bootindex=${bootIndex}`];
}

// In a QEMU option a comma ends the value, two are one.
function comma(value: string): string {
  return value.replaceAll(',', ',,');
}
