import { generateKeyPairSync } from 'node:crypto';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError, type status } from '@grpc/grpc-js';
import { definePlugin, EventKind, type MachineTokens, type ServerBinding, ServerBindingKind } from '@sidero/core';
import { siderolink } from '@sidero/plugin-siderolink';
import {
  ProvisionRequestSchema,
  type ProvisionResponse,
  ProvisionService,
  serviceDefinition,
  WireGuardOverGRPCService,
} from '@sidero/plugin-siderolink/protocol';
import { aBinding, anEnvironment, aServer, FIXTURE_UUID, freePorts, type TestSidero, testSidero, type TestSideroOptions } from '@sidero/testing';
import { expect } from 'vitest';
import * as z from 'zod';

/** The server of the fixtures, and the MetalMachine that has it. */
const BOUND = { uuid: FIXTURE_UUID, metalMachine: { namespace: 'default', name: 'rack-1-cp-x7k2p' } };

type ProvisionFields = Omit<MessageInitShape<typeof ProvisionRequestSchema>, '$typeName' | '$unknown'>;

/** A WireGuard key, base64. */
export const aKey = () => Buffer.from(generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('base64');

/** An Environment without files, which the server of `boundServer()` boots. */
export const theEnvironment = (args: string[] = []) =>
  anEnvironment({ metadata: { name: 'site' }, spec: { kernel: { url: undefined, args }, initrd: undefined } });
export const boundServer = () => aServer({ spec: { environmentRef: { name: 'site' } }, status: { isClean: false } });

export interface LinkPlane extends TestSidero {
  /** The join token of the fixture's machine. */
  token(): Promise<string>;
  /** Asks to join as the fixture's machine. @throws the gRPC status */
  provision(request?: ProvisionFields): Promise<ProvisionResponse>;
  binding(): Promise<ServerBinding>;
  metrics(): Promise<string>;
  /** What Events say of the server. */
  told(): Promise<readonly string[]>;
}

export interface LinkPlaneOptions extends TestSideroOptions {
  readonly siderolink?: Parameters<typeof siderolink>[0];
}

/** A management plane whose tunnel is the loopback interface, with a server that is bound. */
export async function linkPlane(options: LinkPlaneOptions = {}): Promise<LinkPlane> {
  let ear: { tokens: MachineTokens; metrics(): Promise<string> } | undefined;
  const listening = definePlugin({
    name: 'ear',
    options: z.strictObject({}),
    setup({ tokens, metrics }) {
      ear = { tokens, metrics: () => metrics.text() };
    },
  });
  const [logPort, eventPort] = await freePorts(2);
  const link = siderolink({ tunnel: 'loopback', logPort, eventPort, ...options.siderolink });
  const objects = options.objects ?? [boundServer(), theEnvironment(), aBinding()];
  const sidero = await testSidero({ ...options, objects, plugins: [link, listening(), ...(options.plugins ?? [])] });
  return {
    ...sidero,
    token: () => ear!.tokens.sign('join', BOUND),
    metrics: () => ear!.metrics(),
    provision: (request) => provisionAt(sidero.ports.http, request),
    binding: async () => (await sidero.resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true }))!,
    told: async () => {
      const events = await sidero.resources.list(EventKind, {}, { live: true });
      return events
        .filter(({ involvedObject }) => involvedObject.name === FIXTURE_UUID)
        .map(({ involvedObject, message = '' }) => `${involvedObject.kind}: ${message}`);
    },
  };
}

/** Asks to join as Talos does. @throws the gRPC status */
export async function provisionAt(port: number, request: ProvisionFields = {}): Promise<ProvisionResponse> {
  const { path, requestSerialize, responseDeserialize } = serviceDefinition(ProvisionService)['provision']!;
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const message = create(ProvisionRequestSchema, { nodeUuid: FIXTURE_UUID, nodePublicKey: aKey(), ...request });
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, (error, answer) =>
        error ? reject(error) : resolve(answer as ProvisionResponse),
      );
    });
  } finally {
    client.close();
  }
}

/** Opens a stream of packets as `from`; settles when it ends, or is ended by `signal`. @throws the gRPC status */
export async function streamAt(port: number, from: string | undefined, signal?: AbortSignal): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = serviceDefinition(WireGuardOverGRPCService)['createStream']!;
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const metadata = new Metadata();
  if (from) metadata.set('x-siderolink-ipv6-addr', from);
  try {
    await new Promise<void>((resolve, reject) => {
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
      signal?.addEventListener('abort', () => stream.cancel(), { once: true });
      stream.on('data', () => undefined);
      stream.on('error', reject);
      stream.on('end', resolve);
    });
  } finally {
    client.close();
  }
}

/** A refusal with that status, and words. */
export const refusal = (code: status, details = /./) =>
  expect.objectContaining({ code, details: expect.stringMatching(details) as string } satisfies Partial<ServiceError>) as Error;
