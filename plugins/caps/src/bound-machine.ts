import {
  type KubeObject,
  type ResourceClient,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  type ServerClass,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { MetalMachineKind } from './kinds.ts';

/** A server that is bound, and the class it was bound through, if there is one and it exists. */
export interface BoundServer {
  readonly binding: ServerBinding;
  readonly server: Server;
  readonly serverClass: ServerClass | undefined;
}

/** The server of that UUID with its binding; undefined when either does not exist. */
export async function boundMachine(resources: ResourceClient, uuid: string): Promise<BoundServer | undefined> {
  const [server, binding] = [await resources.get(ServerKind, { name: uuid }), await resources.get(ServerBindingKind, { name: uuid })];
  if (!server || !binding) return undefined;
  const className = binding.spec?.serverClassRef?.name;
  return { server, binding, serverClass: className ? await resources.get(ServerClassKind, { name: className }) : undefined };
}

/** What people look at when something is wrong with a bound machine: its Server, and its MetalMachine if that exists. */
export async function lookedAt(resources: ResourceClient, { server, binding }: Omit<BoundServer, 'serverClass'>): Promise<readonly KubeObject[]> {
  const { namespace = '', name = '' } = binding.spec?.metalMachineRef ?? {};
  const metalMachine = await resources.get(MetalMachineKind, { namespace, name });
  return metalMachine ? [server, metalMachine] : [server];
}
