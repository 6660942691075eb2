/** BMCs to talk to: those of others, each in a process of its own, and ours, which err as they are told. */
export { type BootDevice, type BootOverride, type Chassis, ChassisControl, MemoryChassis, NO_OVERRIDE, type PowerAction } from './chassis.ts';
export type { BmcFaults, Span } from './faults.ts';
export { type IpmiBmc, type IpmiBmcOptions, startIpmiBmc } from './ipmi/ipmi-bmc.ts';
export { type BmcProcess, type IpmiSimOptions, startIpmiSim } from './ipmi-sim.ts';
export { type PowerApi, type PowerApiOptions, startPowerApi } from './power-api.ts';
export { type PyghmiBmcOptions, startPyghmiBmc } from './pyghmi-bmc.ts';
export { python, pythonInstallation, pythonSupport } from './python.ts';
export {
  type ActingRedfish,
  type ActingSystem,
  type RedfishOptions,
  type RedfishProcess,
  type RedfishSystem,
  startActingRedfish,
  startSushyEmulator,
} from './redfish.ts';
export { type BmcClock, SimulatedBmc, type SimulatedBmcOptions } from './simulated-bmc.ts';
export { simulatorDriver, type SimulatorDriverOptions } from './simulator-driver.ts';
export { ipmiSimSupport } from './support.ts';
export { BMC_USERS, type BmcUser } from './users.ts';
