import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { create } from '@bufbuild/protobuf';
import { Agent, type AgentClient, agentClient, CreateServerResponseSchema, serviceDefinition } from '@sidero/plugin-agent';
import { hardwareMessage, type Inventory, inventory, testSidero } from '@sidero/testing';
import type { Measurement } from './measure.ts';

const MACHINES = 200;

/** Registrations of machines nobody knows, all at once: from CreateServer to the answer, with the Server written. */
export async function measureRegistrations(): Promise<readonly Measurement[]> {
  const machines = Array.from({ length: MACHINES }, (_, index) => inventory('register', index));
  await using sidero = await testSidero();
  const tokens = await Promise.all(
    machines.map(async (machine) => {
      const plan = await sidero.lifecycle.boot({ uuid: machine.system.uuid, mac: '', arch: 'amd64', address: '127.0.0.1' });
      return 'args' in plan ? plan.args.find((arg) => arg.startsWith('sidero.token='))?.slice('sidero.token='.length) : undefined;
    }),
  );
  const ours = await registerAll(sidero.ports.http, machines, tokens);
  const echo = await echoServer();
  const bare = await registerAll(echo.port, machines, []);
  echo.close();
  const peer = { name: 'bare grpc-js, same request', value: bare };
  return [
    { what: 'registrations', ours, unit: '/s', digits: 0, peer, note: `${MACHINES} machines at once, each on its own connection, Servers written` },
  ];
}

async function registerAll(port: number, machines: readonly Inventory[], tokens: readonly (string | undefined)[]): Promise<number> {
  const channel = { 'grpc.use_local_subchannel_pool': 1 };
  const clients: AgentClient[] = machines.map((_, index) => agentClient({ target: `127.0.0.1:${port}`, token: tokens[index], channel }));
  const startedMs = performance.now();
  await Promise.all(clients.map((client, index) => client.createServer({ hardware: hardwareMessage(machines[index]!) })));
  const perSecond = machines.length / ((performance.now() - startedMs) / 1000);
  for (const client of clients) client[Symbol.dispose]();
  return perSecond;
}

/** A server that only decodes the request and answers. */
async function echoServer(): Promise<{ port: number; close(): void }> {
  const server = new Server();
  const answer = create(CreateServerResponseSchema, { accepted: true });
  const createServer = (_call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) => done(null, answer);
  server.addService({ createServer: serviceDefinition(Agent)['createServer']! }, { createServer });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { port, close: () => server.forceShutdown() };
}
