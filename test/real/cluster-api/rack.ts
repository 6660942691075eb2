import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fleet, type Plane, type SimulatedMachine } from '@sidero/testing';
import { SimulatedBmc } from '@sidero/testing/bmc';
import { startTalosMachines, type TalosEvent, type TalosMachines } from '../talos/talos-machines.ts';

/** Machines that boot over a simulated wire and then run Talos' stand-in, each with a BMC. */
export interface TalosRack extends AsyncDisposable {
  readonly machines: readonly SimulatedMachine[];
  readonly bmcs: ReadonlyMap<string, SimulatedBmc>;
  readonly talos: TalosMachines;
  /** Whether Talos is installed on a machine. */
  isInstalled(uuid: string): boolean;
}

/** Plugs machines into a management plane; they are off. `bmcs` is filled with their BMCs, so that a plugin may have it before. */
export async function plugIn(
  plane: Plane,
  given: { readonly count: number; readonly bmcs: Map<string, SimulatedBmc>; readonly onEvent: (event: TalosEvent) => void },
): Promise<TalosRack> {
  const folder = await mkdtemp(join(tmpdir(), 'sidero-rack-'));
  const diskOf = (uuid: string) => join(folder, `${uuid}.disk`);
  const machines = fleet(given.count, { plane, seed: 'talos', timeFactor: 0.001, hasIpxeRom: true });
  const byUuid = new Map(machines.map((machine) => [machine.uuid, machine]));
  const talos = startTalosMachines((event) => {
    if (event.event === 'reboot') reboot(byUuid.get(event.uuid)!);
    given.onEvent(event);
  });
  for (const machine of machines) {
    given.bmcs.set(machine.uuid, new SimulatedBmc({ chassis: machine }));
    follow(machine, { talos, disk: diskOf(machine.uuid) });
  }
  return {
    machines,
    bmcs: given.bmcs,
    talos,
    isInstalled: (uuid) => existsSync(diskOf(uuid)),
    [Symbol.asyncDispose]: async () => {
      for (const machine of machines) machine.cutPower('the test is over');
      await talos[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Talos runs on a machine from the moment it boots it until its power goes; what the agent wipes is gone. */
function follow(machine: SimulatedMachine, { talos, disk }: { talos: TalosMachines; disk: string }): void {
  machine.onState(({ stage }) => {
    if (stage === 'off') talos.off(machine.uuid);
    if (stage === 'wiping') rmSync(disk, { force: true });
    if (stage !== 'environment' && stage !== 'disk') return;
    const kernelArgs = stage === 'environment' ? machine.kernelArgs : [];
    talos.boot({ uuid: machine.uuid, kernelArgs, disk, address: machine.address, retryMs: 200 });
  });
}

function reboot(machine: SimulatedMachine): void {
  machine.cutPower('it reboots');
  machine.powerOn();
}
