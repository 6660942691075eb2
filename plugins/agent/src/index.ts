/** Discovery: the agent API, and what is needed to speak it from either end. */
export { agent } from './agent.ts';
export * from './protocol.ts';
