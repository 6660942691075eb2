import { describe, expect, test } from 'vitest';
import { type MachineOptions, qemuArguments } from './machine.ts';

const options: MachineOptions = {
  name: 'a',
  firmware: 'bios',
  uuid: '4c4c4544-0000-1111-8222-c0ffee000001',
  mac: '52:54:00:77:00:01',
  serial: 'S,1',
};
const host = { tap: 'tap1', isAccelerated: false, file: (what: string) => `/run/${what}` };

function option(args: readonly string[], name: string): readonly string[] {
  return args.filter((_, index) => args[index - 1] === name);
}

describe('the command line of a machine', () => {
  test('emulates the processor unless acceleration was asked for', () => {
    expect(option(qemuArguments(options, host), '-accel')).toEqual(['tcg']);
    expect(option(qemuArguments(options, { ...host, isAccelerated: true }), '-accel')).toEqual(['kvm']);
  });

  test('carries UUID and serial number, with commas kept', () => {
    const args = qemuArguments(options, host);
    expect(option(args, '-uuid')).toEqual([options.uuid]);
    expect(option(args, '-smbios')).toEqual(['type=1,manufacturer=Sidero,product=QEMU,serial=S,,1']);
  });

  test('leaves network boot to OVMF on UEFI, and to the ROM of the card on BIOS', () => {
    const card = (firmware: 'bios' | 'uefi') =>
      option(qemuArguments({ ...options, firmware }, host), '-device').find((device) => device.startsWith('virtio-net'));
    expect(card('uefi')).toMatch(/,romfile=$/);
    expect(card('bios')).not.toMatch('romfile');
  });

  test('boots from the network before any disk', () => {
    const disks = [
      { bus: 'nvme', sizeMiB: 1, serial: 'N1' },
      { bus: 'sata', sizeMiB: 1, serial: 'A1' },
    ] as const;
    const order = option(qemuArguments({ ...options, disks }, host), '-device').flatMap(
      (device) => /^([\w-]+).*bootindex=(\d)/.exec(device)?.slice(1).join(' ') ?? [],
    );
    expect(order).toEqual(['virtio-net-pci 0', 'nvme 1', 'ide-hd 2']);
  });
});
