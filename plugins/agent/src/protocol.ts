/** The contract between machine and management plane, for whoever is at either end: messages, service, client. */
export * from './agent_pb.ts';
export { type AgentClient, agentClient, type AgentClientOptions, type CallOptions, TOKEN_KEY } from './client.ts';
export { serviceDefinition } from '@sidero/core/service-definition';
