import { expect, test } from 'vitest';
import { loadDrivers } from './drivers.ts';
import { aMachine } from './machine.fixture.ts';

const signal = new AbortController().signal;

test('the drivers of devices that other drivers bring are loaded too, each once', async () => {
  const machine = aMachine(
    { '/sys/bus/pci/devices/0000:00:03.0/modalias': 'pci:v00001AF4', '/sys/bus/pci/devices/0000:00:04.0/modalias': 'pci:v00001AF4' },
    {
      run: async (command, args) => {
        machine.ran.push([command, ...args].join(' '));
        if (args.includes('pci:v00001AF4')) machine.files.set('/sys/bus/virtio/devices/virtio0/modalias', 'virtio:d00000002');
        return { code: 1, output: '' };
      },
    },
  );
  await loadDrivers(machine, signal);
  expect(machine.ran).toEqual(['modprobe -a -q -- pci:v00001AF4', 'modprobe -a -q -- virtio:d00000002']);
});

test('disks that come up slowly are waited for', async () => {
  let rounds = 0;
  const machine = aMachine(
    {},
    {
      pause: async () => {
        rounds += 1;
        if (rounds < 6) machine.files.set(`/sys/block/sd${rounds}/size`, '1');
      },
    },
  );
  await loadDrivers(machine, signal);
  expect(rounds).toBeGreaterThan(6);
});

test('news without end do not hold the machine', async () => {
  let rounds = 0;
  const machine = aMachine(
    {},
    {
      pause: async () => {
        machine.files.set(`/sys/bus/usb/devices/${rounds++}/modalias`, `usb:${rounds}`);
      },
    },
  );
  await loadDrivers(machine, signal);
  expect(rounds).toBe(100);
});
