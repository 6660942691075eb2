import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Metadata, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { addressOfPeer, messageOf, type Sidero, SideroError } from '@sidero/core';
import { Agent } from './agent_pb.ts';
import { TOKEN_KEY } from './client.ts';
import type { AgentHandlers, Caller } from './handlers.ts';
import { statusOf } from './status.ts';

type Method = keyof AgentHandlers;
type Call = { readonly request: never; readonly metadata: Metadata; getPeer(): string };
type Answer = (error: ReturnType<typeof statusOf> | null, message?: object) => void;

/** The handlers as grpc-js calls them: caller read from the call, answers made messages, every failure a status. None of them throws. */
export function serviceImplementation(handlers: AgentHandlers, sidero: Pick<Sidero, 'log' | 'metrics'>): UntypedServiceImplementation {
  const served = sidero.metrics.counter('sidero_agent_calls_total', 'Calls of the agent API, by method and gRPC status.', ['method', 'status']);
  const answer = async (name: Method, call: Call) => {
    const handler = handlers[name] as (request: never, caller: Caller) => Promise<object>;
    const output = Agent.method[name].output;
    return create(output, (await handler(call.request, callerOf(call))) as MessageInitShape<typeof output>);
  };
  const implement = (name: Method) => (call: Call, done: Answer) => {
    answer(name, call).then(
      (message) => {
        served({ method: name, status: 'OK' });
        done(null, message);
      },
      (thrown: unknown) => {
        const failed = statusOf(thrown);
        served({ method: name, status: status[failed.code] });
        report(sidero, { method: name, address: callerOf(call).address }, thrown);
        done(failed);
      },
    );
  };
  const methods = Agent.methods.map(({ localName }) => [localName, implement(localName as Method)]);
  return Object.fromEntries(methods) as UntypedServiceImplementation;
}

// A SideroError is an answer; anything else is a fault of ours, and its stack belongs into the log.
function report({ log }: Pick<Sidero, 'log'>, facts: { method: string; address: string }, thrown: unknown): void {
  if (thrown instanceof SideroError) log.warn({ ...facts, code: thrown.code, problem: thrown.message }, 'agent call refused');
  else log.error({ ...facts, err: thrown, problem: messageOf(thrown) }, 'agent call failed');
}

function callerOf(call: Call): Caller {
  const [token] = call.metadata.get(TOKEN_KEY);
  return { token: token?.toString(), address: addressOfPeer(call.getPeer()) };
}
