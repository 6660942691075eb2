import { generateKeyPairSync } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { definePlugin, type MachineTokens, SecretKind, ServerBindingKind } from '@sidero/core';
import { siderolink } from '@sidero/plugin-siderolink';
import {
  type ProvisionRequest,
  ProvisionRequestSchema,
  type ProvisionResponse,
  ProvisionService,
  serviceDefinition,
} from '@sidero/plugin-siderolink/protocol';
import { aBinding, aServer, FIXTURE_UUID, type TestSidero, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';
import * as z from 'zod';

const SECRET = { namespace: 'default', name: 'siderolink' };
const BOUND = { uuid: FIXTURE_UUID, metalMachine: { namespace: 'default', name: 'rack-1-cp-x7k2p' } };

const aKey = () => Buffer.from(generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('base64');

interface Plane extends TestSidero {
  /** The join token of the fixture. */
  token(): Promise<string>;
}

async function aPlane(options: Parameters<typeof testSidero>[0] = {}): Promise<Plane> {
  let tokens: MachineTokens | undefined;
  const ear = definePlugin({
    name: 'ear',
    options: z.strictObject({}),
    setup(sidero) {
      tokens = sidero.tokens;
    },
  });
  const plugins = [siderolink({ tunnel: 'loopback' }), ear(), ...(options.plugins ?? [])];
  const sidero = await testSidero({ objects: [aServer(), aBinding()], ...options, plugins });
  return { ...sidero, token: () => tokens!.sign('join', BOUND) };
}

/** Asks to join as Talos does. @throws the gRPC status */
async function provision(sidero: TestSidero, request: Partial<ProvisionRequest>): Promise<ProvisionResponse> {
  const { path, requestSerialize, responseDeserialize } = serviceDefinition(ProvisionService)['provision']!;
  const client = new Client(`${sidero.ports.host}:${sidero.ports.http}`, credentials.createInsecure());
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

const refusal = (code: status, details?: RegExp) =>
  expect.objectContaining({ code, ...(details && { details: expect.stringMatching(details) as string }) } satisfies Partial<ServiceError>) as Error;

const bindingOf = (sidero: TestSidero) => sidero.resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true });

test('a machine that is bound joins, and its ServerBinding says where it is', async () => {
  await using sidero = await aPlane();
  const nodePublicKey = aKey();
  const answer = await provision(sidero, { nodePublicKey, joinToken: await sidero.token() });
  expect(answer).toMatchObject({ serverEndpoint: ['127.0.0.1:51821'], serverAddress: '127.0.0.1', grpcPeerAddrPort: '' });
  expect(answer.nodeAddressPrefix).toMatch(/^127\.\d+\.\d+\.\d+\/32$/);
  const { spec } = (await bindingOf(sidero))!;
  expect(spec?.siderolink).toEqual({ address: answer.nodeAddressPrefix, publicKey: nodePublicKey });
  const secret = await sidero.resources.get(SecretKind, SECRET, { live: true });
  expect(secret?.metadata.labels).toEqual({ 'clusterctl.cluster.x-k8s.io/move': '' });
});

test('a machine that is not bound is not found', async () => {
  await using sidero = await aPlane({ objects: [aServer()] });
  await expect(provision(sidero, {})).rejects.toEqual(refusal(status.NOT_FOUND, new RegExp(`^server binding "${FIXTURE_UUID}" not found$`)));
});
