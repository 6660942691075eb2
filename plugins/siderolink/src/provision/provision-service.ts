import { create } from '@bufbuild/protobuf';
import { Metadata, type StatusObject, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { addressOfPeer, messageOf, type Sidero, SideroError } from '@sidero/core';
import { virtualEndpoint } from '../packet-stream/virtual-endpoint.ts';
import { type ProvisionRequest, ProvisionResponseSchema } from '../protocol/siderolink_pb.ts';
import { swapEnds } from './endpoints.ts';
import type { Provisioning } from './provision.ts';

type Call = { readonly request: ProvisionRequest; getPeer(): string };
type Answer = (error: StatusObject | null, message?: object) => void;

// Alphabetical. What is not here is Unknown, as the original answers.
const STATUS_OF: Readonly<Record<string, status>> = {
  SIDERO_PROVISION_INVALID: status.INVALID_ARGUMENT,
  SIDERO_PROVISION_KEY_INVALID: status.INVALID_ARGUMENT,
  SIDERO_PROVISION_LIMITED: status.RESOURCE_EXHAUSTED,
  SIDERO_PROVISION_PENDING: status.UNAVAILABLE,
  SIDERO_PROVISION_REFUSED: status.PERMISSION_DENIED,
  SIDERO_PROVISION_UNKNOWN: status.NOT_FOUND,
  SIDERO_RESOURCE_CONFLICT: status.ABORTED,
  SIDERO_RESOURCE_MISSING: status.NOT_FOUND,
  SIDERO_RESOURCE_UNREACHABLE: status.UNAVAILABLE,
  SIDERO_SIDEROLINK_TUNNEL_FAILED: status.UNAVAILABLE,
  SIDERO_SIDEROLINK_UNKNOWN_YET: status.UNAVAILABLE,
};

/** `Provision` as grpc-js calls it: every failure a status, none thrown. */
export function provisionService(
  sidero: Pick<Sidero, 'log' | 'metrics'>,
  provisioning: Pick<Provisioning, 'join'>,
  endpoints: () => Promise<readonly string[]>,
): UntypedServiceImplementation {
  const counted = sidero.metrics.counter('sidero_siderolink_provisions_total', 'Machines that asked to join SideroLink, by gRPC status.', ['status']);
  const answer = async ({ request }: Call, from: string) => {
    const { address, installation } = await provisioning.join(request, from);
    const virtual = request.wireguardOverGrpc ? virtualEndpoint(address) : undefined;
    return create(ProvisionResponseSchema, {
      serverEndpoint: [...swapEnds(virtual ? [virtual] : await endpoints())],
      serverPublicKey: installation.publicKey,
      nodeAddressPrefix: address,
      serverAddress: installation.serverAddress,
      grpcPeerAddrPort: virtual ?? '',
    });
  };
  const provision = (call: Call, done: Answer): void => {
    const from = addressOfPeer(call.getPeer());
    answer(call, from).then(
      (message) => {
        counted({ status: 'OK' });
        done(null, message);
      },
      (thrown: unknown) => {
        const failed = statusOf(thrown);
        counted({ status: status[failed.code] });
        report(sidero, thrown, { server: call.request.nodeUuid.slice(0, 64), address: from });
        done(failed);
      },
    );
  };
  return { provision };
}

function report({ log }: Pick<Sidero, 'log'>, thrown: unknown, facts: { server: string; address: string }): void {
  if (thrown instanceof SideroError) log.debug({ ...facts, code: thrown.code, problem: thrown.message }, 'a machine did not join SideroLink');
  else log.error({ ...facts, err: thrown, problem: messageOf(thrown) }, 'a machine could not join SideroLink');
}

/** The answer to a call that failed. Of errors that are no SideroError nothing is told. */
export function statusOf(thrown: unknown): StatusObject {
  const metadata = new Metadata();
  if (!(thrown instanceof SideroError)) return { code: status.UNKNOWN, details: 'an error of the management plane; its log has the rest', metadata };
  metadata.set('sidero-code', thrown.code);
  return { code: STATUS_OF[thrown.code] ?? status.UNKNOWN, details: thrown.message, metadata };
}
