import { definePlugin, serviceDefinition } from '@sidero/core';
import { Agent } from './agent_pb.ts';
import { agentHandlers } from './handlers.ts';
import { agentOptions, agentSettings } from './options.ts';
import { serviceImplementation } from './service.ts';

/** Discovery: the gRPC API that the program on a network-booted machine speaks. */
export const agent = definePlugin({
  name: 'agent',
  options: agentOptions,
  settings: agentSettings,
  setup(sidero, options) {
    const { hooks, grpc } = sidero;
    grpc.add(serviceDefinition(Agent), serviceImplementation(agentHandlers(sidero, options), sidero));
    if (options.autoAccept) hooks.accept.tap('agent', () => ({ accepted: true, reason: 'autoAccept is set' }));
    // "insecure" is what core starts from: only that default is replaced, never what a plugin chose.
    const method = options.wipeMethod ?? (options.insecureWipe ? 'insecure' : 'zero');
    if (method !== 'insecure') hooks.wipe.tap('agent', (plan) => ('hold' in plan || plan.method !== 'insecure' ? plan : { ...plan, method }));
  },
});
