/** What tests of Sidero Metal and of its plugins are made of. Conformance suites are in @sidero/testing/suites. */
export * from './fixtures.ts';
export { type AgentKind, hardwareMessage } from './machine/agent.ts';
export { type FleetOptions, fleet, loopbackAddress } from './machine/fleet.ts';
export { hardwareInformation, type Inventory, inventory } from './machine/hardware.ts';
export type { IpxeHost, IpxeOutcome } from './machine/ipxe/command.ts';
export { runIpxe } from './machine/ipxe/interpreter.ts';
export { type DiskContent, type DiskFault, SimulatedDisk } from './machine/disk.ts';
export { type MachineOptions, type Misbehaviour, type Plane, SimulatedMachine } from './machine/machine.ts';
export { type MachineState, type ObservableMachine, type Progress, type Stage, type StageName, STAGES } from './machine/state.ts';
export { simulatedPower } from './machine/simulated-power.ts';
export { downloadByTftp, type TftpDownload } from './machine/tftp.ts';
export { type Link, UdpSocket } from './machine/udp.ts';
export { type PlaneOptions, type PlanePorts, type RunningPlane, freePorts, startPlane } from './plane.ts';
export { type Random, seededRandom } from './random.ts';
export { type SideroProcess, type SideroProcessOptions, startSideroProcess } from './sidero-process.ts';
export { type StandInSizes, writeStandIns } from './stand-ins.ts';
export { aTalosConfig, type TalosConfigOptions } from './talos-config.ts';
export { createWithStatus, silentLogger, type TestSidero, type TestSideroOptions, testSidero } from './test-sidero.ts';
