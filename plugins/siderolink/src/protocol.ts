/** The wires of SideroLink, for whoever plays a machine. */
export * from './protocol/events_pb.ts';
export * from './protocol/machine_pb.ts';
export * from './protocol/siderolink_pb.ts';
export { serviceDefinition } from '@sidero/core/service-definition';
