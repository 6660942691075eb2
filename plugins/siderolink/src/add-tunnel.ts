import { serviceDefinition, type Sidero } from '@sidero/core';
import { isIP } from 'node:net';
import { addBootArguments } from './boot-arguments.ts';
import { addDocuments } from './documents.ts';
import { failure } from './errors.ts';
import { InstallationDesk } from './installation/installation.ts';
import type { LinkListener } from './link.ts';
import { packetStreams } from './packet-stream/packet-streams.ts';
import type { SideroLinkOptions } from './plugin.ts';
import { Arrivals } from './provision/arrivals.ts';
import { endpointsOf } from './provision/endpoints.ts';
import { Provisioning } from './provision/provision.ts';
import { provisionService } from './provision/provision-service.ts';
import { ProvisionService, WireGuardOverGRPCService } from './protocol/siderolink_pb.ts';
import { tunnelService, type TunnelState } from './tunnel/tunnel-service.ts';

/** The tunnel itself, who may join it, and what machines are told of it; `listeners` serve inside while it is up. @throws SIDERO_SIDEROLINK_LOOPBACK_REFUSED */
export function addTunnel(sidero: Sidero, options: SideroLinkOptions, listeners: readonly LinkListener[]): void {
  const { endpoint } = sidero.site;
  if (options.tunnel === 'loopback' && !isLoopback(endpoint)) throw failure('SIDERO_SIDEROLINK_LOOPBACK_REFUSED', { endpoint });
  const desk = new InstallationDesk(sidero, options.tunnel);
  const arrivals = new Arrivals(sidero.resources);
  const state: TunnelState = {};
  const provisioning = new Provisioning({ sidero, desk, state, arrivals });
  addBootArguments(sidero, { desk, options });
  addDocuments(sidero, { desk, options });
  const endpoints = endpointsOf(options.endpoint ?? endpoint, options.port);
  sidero.grpc.add(serviceDefinition(ProvisionService), provisionService(sidero, provisioning, endpoints));
  sidero.grpc.add(serviceDefinition(WireGuardOverGRPCService), packetStreams({ sidero, desk, state, port: options.port }));
  sidero.services.add({
    name: 'siderolink',
    where: 'every',
    async run(signal, ready) {
      await Promise.all([desk.keep(signal, ready), arrivals.follow(signal)]);
    },
    note: () => (desk.problem === undefined ? state.problem : `the Secret default/siderolink ${desk.problem}`),
  });
  sidero.services.add(tunnelService({ sidero, options, desk, listeners, state }));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
