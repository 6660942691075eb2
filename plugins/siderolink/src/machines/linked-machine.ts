import { isIP, SocketAddress } from 'node:net';
import type { MachineNames, ServerBinding } from '@sidero/core';
import { CLUSTER_NAME_LABEL } from './kinds.ts';

/** Who is behind an address in the tunnel. */
export interface LinkedMachine {
  readonly uuid: string;
  readonly names: MachineNames;
  /** Its WireGuard key. Talos makes one at each boot, so this tells boots apart; empty when none is known. */
  readonly key: string;
}

/** Who a ServerBinding says is behind its address; `machine` is the Machine that owns its MetalMachine. */
export function linkedMachine(binding: ServerBinding, machine: string | undefined): LinkedMachine {
  const { metadata, spec } = binding;
  const uuid = metadata.name;
  const cluster = metadata.labels?.[CLUSTER_NAME_LABEL];
  const { namespace, name } = spec?.metalMachineRef ?? {};
  const names: MachineNames = {
    server_uuid: uuid,
    ...(cluster && { cluster }),
    ...(namespace && { namespace }),
    ...(name && { metal_machine: name }),
    ...(machine && { machine }),
  };
  return { uuid, names, key: spec?.siderolink?.publicKey ?? '' };
}

/** The address of a binding in the tunnel, without prefix length, as sockets write it; undefined while it has none. */
export function linkAddress(binding: ServerBinding): string | undefined {
  const [address = ''] = binding.spec?.siderolink?.address?.split('/') ?? [];
  return sameText(address) || undefined;
}

/** An IP address in the one form in which sockets write it; what is none stays. */
export function sameText(address: string): string {
  return isIP(address) === 6 ? new SocketAddress({ address, family: 'ipv6' }).address : address;
}

/** `namespace/name` of the MetalMachine that a binding names. */
export function metalMachineKey(binding: ServerBinding): string | undefined {
  const { namespace, name } = binding.spec?.metalMachineRef ?? {};
  return namespace && name ? `${namespace}/${name}` : undefined;
}
