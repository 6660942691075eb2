import { Server, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';

/** A gRPC service that a plugin added. */
export interface GrpcService {
  readonly plugin: string;
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
}

/** The gRPC server of the API port, not listening: connections are handed to it. */
export function createGrpc(services: readonly GrpcService[]): Server {
  const server = new Server({
    // An inventory with thousands of disks stays far below this.
    'grpc.max_receive_message_length': 4 * 1024 * 1024,
    'grpc.max_concurrent_streams': 100,
    'grpc.max_connection_idle_ms': 10 * 60_000,
    'grpc.keepalive_time_ms': 60_000,
    'grpc.keepalive_timeout_ms': 20_000,
  });
  for (const { definition, handlers } of services) server.addService(definition, handlers);
  return server;
}
