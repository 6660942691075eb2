/** Machines with real firmware, in networks of their own. */
export type { Child, ChildOptions } from './child.ts';
export { addressServer } from './dnsmasq.ts';
export { type ClientSide, type Forward, forward } from './forward.ts';
export type { Wait } from './log-lines.ts';
export { type Disk, diskFile, type Firmware, type Machine, type MachineOptions, makeDisks, startMachine } from './machine.ts';
export { type ManagementPlane, type ManagementPlaneOptions, type Place, startManagementPlane, thisHost } from './management-plane.ts';
export { createNamespace, type Namespace } from './namespace.ts';
export { createNetwork, type Network } from './network.ts';
export { acceptWithBmc, type BmcAccess, type RackedMachine, rackMachine } from './rack.ts';
export { type Missing, qemuSupport } from './support.ts';
export { SwitchedMachine } from './switched-machine.ts';
