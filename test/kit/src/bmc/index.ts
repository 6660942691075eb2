/** BMCs to talk to: those of others, each in a process of its own. */
export { type BootDevice, type BootOverride, type Chassis, ChassisControl, MemoryChassis, NO_OVERRIDE, type PowerAction } from './chassis.ts';
export { BMC_USERS, type BmcProcess, type BmcUser, type IpmiSimOptions, startIpmiSim } from './ipmi-sim.ts';
export { type PyghmiBmcOptions, startPyghmiBmc } from './pyghmi-bmc.ts';
export { pythonInstallation, pythonSupport } from './python.ts';
export {
  type ActingRedfish,
  type ActingSystem,
  type RedfishOptions,
  type RedfishProcess,
  type RedfishSystem,
  startActingRedfish,
  startSushyEmulator,
} from './redfish.ts';
export { ipmiSimSupport } from './support.ts';
