import {
  type Ref,
  type ResourceClient,
  type Secret,
  SecretKind,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  type ServerClass,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { type ClusterApiKinds, type Machine, MetalMachineKind, ownerMachineOf } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';

/** Every object that a machine's configuration is made from. */
export interface ConfigSources {
  readonly binding: ServerBinding;
  readonly metalMachine: MetalMachine;
  readonly machine: Machine;
  /** Holds the bootstrap data as `value`. */
  readonly secret: Secret;
  readonly server: Server;
  readonly serverClass: ServerClass | undefined;
}

/** Why there is no configuration, in the words of the original; Talos retries whatever the status. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 500 | 503;
  readonly text: string;
}

/**
 * Follows the chain from a server to its bootstrap data. What is missing is an answer, not an error.
 * @throws SIDERO_RESOURCE_FAILED, SIDERO_RESOURCE_UNREACHABLE
 */
export async function gatherSources(resources: ResourceClient, kinds: ClusterApiKinds, uuid: string): Promise<ConfigSources | Refusal> {
  const binding = await resources.get(ServerBindingKind, { name: uuid });
  if (!binding) {
    const missing = `serverbindings.infrastructure.cluster.x-k8s.io ${JSON.stringify(uuid)} not found`;
    return { status: 404, text: `server is not allocated (missing serverbinding): ${missing}` };
  }
  return sourcesOf(resources, kinds, binding);
}

/** The same for a binding in hand, which need not be in the API. @throws as `gatherSources` */
export async function sourcesOf(resources: ResourceClient, kinds: ClusterApiKinds, binding: ServerBinding): Promise<ConfigSources | Refusal> {
  const uuid = binding.metadata.name;
  const owner = await ownerOf(resources, kinds, binding);
  if ('status' in owner) return owner as Refusal;
  const { metalMachine, machine } = owner as Owner;
  const secret = await bootstrapOf(resources, machine);
  if ('text' in secret) return secret;
  const [server, className] = [await resources.get(ServerKind, { name: uuid }), binding.spec?.serverClassRef?.name];
  if (!server) return { status: 404, text: `failure fetching server ${uuid}: servers.metal.sidero.dev ${JSON.stringify(uuid)} not found` };
  const serverClass = className ? await resources.get(ServerClassKind, { name: className }) : undefined;
  if (className && !serverClass)
    return { status: 500, text: `failure fetching serverclass ${className}: serverclasses.metal.sidero.dev ${JSON.stringify(className)} not found` };
  return { binding, metalMachine, machine, secret, server, serverClass };
}

interface Owner {
  readonly metalMachine: MetalMachine;
  readonly machine: Machine;
}

async function ownerOf(resources: ResourceClient, kinds: ClusterApiKinds, binding: ServerBinding): Promise<Owner | Refusal> {
  const { namespace = '', name = '' } = binding.spec?.metalMachineRef ?? {};
  const metalMachine = await resources.get(MetalMachineKind, { namespace, name });
  if (!metalMachine) {
    const missing = `metalmachines.infrastructure.cluster.x-k8s.io ${JSON.stringify(name)} not found`;
    return { status: 404, text: `failure getting metalmachine: ${missing}` };
  }
  const failed = (why: string): Refusal => ({ status: 404, text: `failure fetching owner machine from metal machine ${namespace}/${name}: ${why}` });
  const owner = ownerMachineOf(metalMachine);
  if (owner === undefined) return failed('it has no owner of kind Machine');
  const machine = await resources.get(kinds.machine, { namespace, name: owner });
  return machine ? { metalMachine, machine } : failed(`machines.cluster.x-k8s.io ${JSON.stringify(owner)} not found`);
}

async function bootstrapOf(resources: ResourceClient, { metadata, spec }: Machine): Promise<Secret | Refusal> {
  const { namespace = '', name } = metadata;
  const dataSecretName = spec?.bootstrap?.dataSecretName;
  if (!dataSecretName) return { status: 404, text: `no dataSecretName present for machine ${namespace}/${name}` };
  const ref: Ref = { namespace, name: dataSecretName };
  // Secrets are not watched: nobody but the machine that asks needs them.
  const secret = await resources.get(SecretKind, ref, { live: true });
  if (!secret) return { status: 404, text: `bootstrap secret ${namespace}/${dataSecretName} not found` };
  if (secret.data?.['value'] === undefined) return { status: 404, text: `value key not found in bootstrap data: ${namespace}/${dataSecretName}` };
  return secret;
}
