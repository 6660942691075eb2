/** BMCs to talk to: those of others, each in a process of its own. */
export { type BootDevice, type BootOverride, type Chassis, ChassisControl, NO_OVERRIDE, type PowerAction } from './chassis.ts';
export { BMC_USERS, type BmcProcess, type BmcUser, type IpmiSimOptions, startIpmiSim } from './ipmi-sim.ts';
export { ipmiSimSupport } from './support.ts';
