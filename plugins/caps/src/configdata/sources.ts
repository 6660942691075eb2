import {
  type Ref,
  type ResourceClient,
  type Secret,
  SecretKind,
  type ServerBinding,
  ServerBindingKind,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import type { BoundServer } from '../bound-machine.ts';
import { type ClusterApiKinds, type Machine, MetalMachineKind, ownerMachineOf } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';

/** Every object that a machine's configuration is made from. */
export interface ConfigSources extends BoundServer {
  readonly metalMachine: MetalMachine;
  readonly machine: Machine;
  /** Holds the bootstrap data as `value`. */
  readonly secret: Secret;
}

/** Why there is no configuration, in the words of the original; Talos retries whatever the status. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 429 | 500 | 503;
  readonly text: string;
  /** One CamelCase word, for the condition of the machine; absent where nothing is wrong with its configuration, or it comes by itself. */
  readonly reason?: string;
  /** What a person can do; told beside the text, to people only. */
  readonly next?: string;
}

/** The binding of that name and what it binds. What is missing is an answer, not an error. @throws SIDERO_RESOURCE_FAILED, SIDERO_RESOURCE_UNREACHABLE */
export async function boundServer(resources: ResourceClient, uuid: string): Promise<BoundServer | Refusal> {
  const binding = await resources.get(ServerBindingKind, { name: uuid });
  if (binding) return boundServerOf(resources, binding);
  const missing = `serverbindings.infrastructure.cluster.x-k8s.io ${JSON.stringify(uuid)} not found`;
  return { status: 404, text: `server is not allocated (missing serverbinding): ${missing}` };
}

/** What a binding binds; it need not be in the API. @throws as `boundServer` */
export async function boundServerOf(resources: ResourceClient, binding: ServerBinding): Promise<BoundServer | Refusal> {
  const { name } = binding.metadata;
  const [server, className] = [await resources.get(ServerKind, { name }), binding.spec?.serverClassRef?.name];
  if (!server) {
    const text = `failure fetching server ${name}: servers.metal.sidero.dev ${JSON.stringify(name)} not found`;
    return { status: 404, text, reason: 'ServerMissing', next: 'network-boot the machine, so that it registers again' };
  }
  const serverClass = className ? await resources.get(ServerClassKind, { name: className }) : undefined;
  if (!className || serverClass) return { binding, server, serverClass };
  const missing = `serverclasses.metal.sidero.dev ${JSON.stringify(className)} not found`;
  const next = `make ServerClass ${className} again: the server was bound through it, and its patches belong to the configuration`;
  return { status: 500, text: `failure fetching serverclass ${className}: ${missing}`, reason: 'ServerClassMissing', next };
}

/** Follows the chain from a bound server to its bootstrap data. @throws as `boundServer` */
export async function gatherSources(resources: ResourceClient, kinds: ClusterApiKinds, bound: BoundServer): Promise<ConfigSources | Refusal> {
  const owner = await ownerOf(resources, kinds, bound.binding);
  if ('text' in owner) return owner;
  const { metalMachine, machine } = owner;
  const secret = await bootstrapOf(resources, machine);
  return 'text' in secret ? secret : { ...bound, metalMachine, machine, secret };
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
    const next = `restore MetalMachine ${namespace}/${name}, or delete ServerBinding ${binding.metadata.name}, which has its server wiped`;
    return { status: 404, text: `failure getting metalmachine: ${missing}`, reason: 'MetalMachineMissing', next };
  }
  const failed = (why: string): Refusal => ({
    status: 404,
    text: `failure fetching owner machine from metal machine ${namespace}/${name}: ${why}`,
    reason: 'MachineMissing',
    next: `delete MetalMachine ${namespace}/${name} if its Machine is gone for good; its server is wiped then`,
  });
  const owner = ownerMachineOf(metalMachine);
  if (owner === undefined) return failed('it has no owner of kind Machine');
  const machine = await resources.get(kinds.machine, { namespace, name: owner });
  return machine ? { metalMachine, machine } : failed(`machines.cluster.x-k8s.io ${JSON.stringify(owner)} not found`);
}

async function bootstrapOf(resources: ResourceClient, { metadata, spec }: Machine): Promise<Secret | Refusal> {
  const { namespace = '', name } = metadata;
  const dataSecretName = spec?.bootstrap?.dataSecretName;
  // The bootstrap provider makes workers wait for their control plane.
  if (!dataSecretName) return { status: 404, text: `no dataSecretName present for machine ${namespace}/${name}` };
  const ref: Ref = { namespace, name: dataSecretName };
  const secret = await bootstrapSecret(resources, ref);
  if (!secret) {
    const next = `the bootstrap provider makes it: kubectl describe machine -n ${namespace} ${name}`;
    return { status: 404, text: `bootstrap secret ${namespace}/${dataSecretName} not found`, reason: 'BootstrapSecretMissing', next };
  }
  if (secret.data?.['value'] === undefined) {
    const next = `put the Talos configuration into Secret ${namespace}/${dataSecretName} under the key value`;
    return { status: 404, text: `value key not found in bootstrap data: ${namespace}/${dataSecretName}`, reason: 'BootstrapDataMissing', next };
  }
  return secret;
}

// Watched where the BMCs' logins are, on the leader; what the cache does not hold may have come just now.
async function bootstrapSecret(resources: ResourceClient, ref: Ref): Promise<Secret | undefined> {
  const known = await resources.get(SecretKind, ref);
  return known?.data?.['value'] === undefined ? resources.get(SecretKind, ref, { live: true }) : known;
}
