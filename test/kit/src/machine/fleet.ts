import { type MachineOptions, SimulatedMachine } from './machine.ts';

/** What all machines of a fleet share; their number is added to `seed`. */
export type FleetOptions = Omit<MachineOptions, 'name'>;

/** Machines with addresses of their own, as far as the host has them: on Linux all of 127.0.0.0/8 is there, elsewhere only 127.0.0.1. */
export function fleet(count: number, options: FleetOptions): readonly SimulatedMachine[] {
  return Array.from(
    { length: count },
    (_, index) => new SimulatedMachine({ address: loopbackAddress(index), ...options, seed: `${options.seed}-${index + 1}` }),
  );
}

/** The address of machine `index`, in 127.64.0.0/10. */
export function loopbackAddress(index: number): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  const number = index + 1;
  return `127.${64 + (number >> 16)}.${(number >> 8) & 0xff}.${number & 0xff}`;
}
