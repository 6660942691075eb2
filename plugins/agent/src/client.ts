import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { Client, type ClientOptions, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { serviceDefinition } from '@sidero/core/service-definition';
import { Agent } from './agent_pb.ts';

/** Metadata key under which a machine shows the token that its boot was given. */
export const TOKEN_KEY = 'sidero-token';

type Methods = typeof Agent.method;

/** How one call is made. `timeoutMs` is its deadline, default 30 000. */
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The machine's end of the agent API. Every method rejects with grpc-js' ServiceError, or with the signal's reason. */
export type AgentClient = {
  readonly [M in keyof Methods]: (
    request: MessageInitShape<Methods[M]['input']>,
    options?: CallOptions,
  ) => Promise<MessageShape<Methods[M]['output']>>;
} & {
  /** The token that the next call shows; a fresh one in an answer replaces it. */
  readonly token: string | undefined;
} & Disposable;

/** Where the management plane is. */
export interface AgentClientOptions {
  /** `host:port`. */
  readonly target: string;
  /** The token that the boot was given. */
  readonly token?: string | undefined;
  /** Calls wait for a connection until their deadline, instead of failing at the first refusal. Default false. */
  readonly waitForReady?: boolean;
  readonly channel?: ClientOptions;
}

/**
 * Connects to `host:port` without TLS, lazily, as the original does.
 *
 * @example using client = agentClient({ target: '10.0.0.1:8081', token });
 */
export function agentClient(options: AgentClientOptions): AgentClient {
  const client = new Client(options.target, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0, ...options.channel });
  const state = { token: options.token, waitForReady: options.waitForReady ?? false };
  const call = callWith(client, state);
  const methods = Object.fromEntries(
    Agent.methods.map((method) => [method.localName, (request: object, callOptions?: CallOptions) => call(method.localName, request, callOptions)]),
  );
  const own = {
    get token() {
      return state.token;
    },
    [Symbol.dispose]: () => client.close(),
  };
  return Object.defineProperties(methods, Object.getOwnPropertyDescriptors(own)) as unknown as AgentClient;
}

function callWith(client: Client, state: { token: string | undefined; readonly waitForReady: boolean }) {
  const definition = serviceDefinition(Agent);
  return (name: string, request: object, { timeoutMs = 30_000, signal }: CallOptions = {}) =>
    new Promise<object>((resolve, reject) => {
      signal?.throwIfAborted();
      const method = definition[name]!;
      const metadata = new Metadata({ waitForReady: state.waitForReady });
      if (state.token) metadata.set(TOKEN_KEY, state.token);
      const abort = () => call.cancel();
      const done = (error: ServiceError | null, answer?: object) => {
        signal?.removeEventListener('abort', abort);
        if (error) return reject(signal?.aborted ? signal.reason : error);
        const fresh = answer && 'token' in answer ? answer.token : undefined;
        if (typeof fresh === 'string' && fresh !== '') state.token = fresh;
        resolve(answer!);
      };
      const message = create(Agent.method[name as keyof Methods].input, request);
      const deadline = Date.now() + timeoutMs;
      const call = client.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, message, metadata, { deadline }, done);
      signal?.addEventListener('abort', abort, { once: true });
    });
}
