import { readFile } from 'node:fs/promises';
import { diskFile, type Firmware, type MachineOptions, type Network, type RackedMachine, rackMachine, SwitchedMachine } from '@sidero/testing/qemu';
import type { TalosEvent } from '../talos/talos-machines.ts';

const SIZE_MIB = 96;
const FIRST_BMC_PORT = 6230;

/** Machines of QEMU, each with a BMC, and what Talos' stand-in told on their serial ports. They are off at first. */
export interface QemuRack extends AsyncDisposable {
  readonly racked: readonly RackedMachine[];
  /** What the stand-in told, of all of them. */
  readonly events: readonly TalosEvent[];
  /** What a person does who has another program for BMCs, and walks along the rack. */
  ipmitool(...command: string[]): Promise<void>;
  /** All that is on the disk of a machine. */
  disk(uuid: string): Promise<Buffer>;
}

/** Puts machines with that firmware into the network. */
export async function rackMachines(
  network: Network,
  given: { readonly firmwares: readonly Firmware[]; readonly onEvent: (event: TalosEvent) => void },
): Promise<QemuRack> {
  await using stack = new AsyncDisposableStack();
  const events: TalosEvent[] = [];
  const tell = (event: TalosEvent) => {
    events.push(event);
    given.onEvent(event);
  };
  const racked: RackedMachine[] = [];
  for (const [index, firmware] of given.firmwares.entries()) {
    const machine = new SwitchedMachine(network, { ...machineOptions(index, firmware), onText: eventsIn(tell) });
    racked.push(stack.use(await rackMachine(network, machine, FIRST_BMC_PORT + index)));
  }
  const kept = stack.move();
  return {
    racked,
    events,
    ipmitool: async (...command) => {
      await Promise.all(racked.map(({ access }) => ipmitool(network, access, command)));
    },
    disk: (uuid) =>
      readFile(diskFile(network, { name: racked.find(({ machine }) => machine.options.uuid === uuid)!.machine.options.name, index: 0 })),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function machineOptions(index: number, firmware: Firmware): MachineOptions {
  const number = String(index + 1).padStart(2, '0');
  return {
    name: `machine-${number}`,
    firmware,
    // Talos names a node after the first part.
    uuid: `4c4c45${number}-0044-4a10-8054-b0c0ffee0005`,
    mac: `52:54:00:77:05:${number}`,
    serial: `SN-05${number}`,
    disks: [{ bus: 'virtio', sizeMiB: SIZE_MIB, serial: `DISK-05${number}`, content: 'noise' }],
  };
}

/** Finds what the stand-in tells in what a machine writes to its serial port, an object a line. */
function eventsIn(tell: (event: TalosEvent) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = `${rest}${text}`.split(/\r?\n/);
    rest = lines.pop()!;
    for (const line of lines) {
      // Firmware and kernel may not have ended their line.
      const at = line.indexOf('{"uuid":');
      if (at >= 0) tell(JSON.parse(line.slice(at)) as TalosEvent);
    }
  };
}

async function ipmitool(network: Network, access: RackedMachine['access'], command: readonly string[]): Promise<void> {
  const { endpoint, port, user, pass } = access;
  await network.run(['ipmitool', '-I', 'lanplus', '-C', '3', '-H', endpoint, '-p', String(port), '-U', user, '-P', pass, ...command]);
}
