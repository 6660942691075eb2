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

  test('has a BMC only where one is named', () => {
    expect(option(qemuArguments(options, host), '-chardev')).toEqual([]);
    const args = qemuArguments({ ...options, bmc: { address: '10.77.0.9', port: 9001 } }, host);
    expect(option(args, '-chardev').join()).toMatch(/host=10\.77\.0\.9,port=9001/);
    expect(option(args, '-device')).toContain('isa-ipmi-kcs,bmc=bmc0');
  });

  test.each([
    ['network', ['virtio-net-pci', 'nvme', 'ide-hd']],
    ['disk', ['nvme', 'ide-hd', 'virtio-net-pci']],
  ] as const)('tries the %s first when it is told to', (bootFrom, order) => {
    const disks = [
      { bus: 'nvme', sizeMiB: 1, serial: 'N1' },
      { bus: 'sata', sizeMiB: 1, serial: 'A1' },
    ] as const;
    const bootable = option(qemuArguments({ ...options, disks, bootFrom }, host), '-device').flatMap((device) => {
      const [, model, index] = /^([\w-]+).*bootindex=(\d+)/.exec(device) ?? [];
      return model ? [{ model, index: Number(index) }] : [];
    });
    expect(bootable.toSorted((a, b) => a.index - b.index).map(({ model }) => model)).toEqual(order);
  });
});
