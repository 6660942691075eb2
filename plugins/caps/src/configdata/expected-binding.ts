import { matchServerClass, type Ref, type ResourceClient, type ServerBinding, ServerBindingKind, ServerClassKind, ServerKind } from '@sidero/core';
import { failure } from '../errors.ts';
import { MetalMachineKind, serverOfProviderId } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';

/** The allocation of a MetalMachine as it is, or as it may come to be. */
export interface ExpectedBinding {
  readonly binding: ServerBinding;
  /** Why this server, as a clause: "it is bound to it". */
  readonly why: string;
}

/**
 * The binding of a MetalMachine. While there is none: one with `server`, else with the server it asks for, else with any member of its class.
 * @throws SIDERO_CONFIG_SERVER_UNKNOWN, SIDERO_SERVER_CLASS_INVALID
 */
export async function expectedBinding(resources: ResourceClient, ref: Ref, server?: string): Promise<ExpectedBinding> {
  const metalMachine = await resources.get(MetalMachineKind, ref);
  const name = `${ref.namespace ?? ''}/${ref.name}`;
  if (!metalMachine) throw failure('SIDERO_CONFIG_SERVER_UNKNOWN', { metalMachine: name, why: 'there is no such MetalMachine' });
  if (server !== undefined) return { binding: bindingOf(metalMachine, server), why: 'you named it' };
  const binding = await standingBinding(resources, metalMachine);
  if (binding) return { binding, why: 'it is bound to it' };
  const wanted = serverOfProviderId(metalMachine) ?? metalMachine.spec?.serverRef?.name;
  if (wanted) return { binding: bindingOf(metalMachine, wanted), why: 'it asks for it by serverRef, and is not bound yet' };
  const serverClass = metalMachine.spec?.serverClassRef?.name;
  if (!serverClass) throw failure('SIDERO_CONFIG_SERVER_UNKNOWN', { metalMachine: name, why: 'it has neither serverRef nor serverClassRef' });
  const member = await someMember(resources, serverClass);
  if (!member) throw failure('SIDERO_CONFIG_SERVER_UNKNOWN', { metalMachine: name, why: `ServerClass ${serverClass} has no member` });
  return { binding: bindingOf(metalMachine, member), why: `any member of ServerClass ${serverClass} will do; it is not bound yet` };
}

async function standingBinding(resources: ResourceClient, { metadata }: MetalMachine): Promise<ServerBinding | undefined> {
  const bindings = await resources.list(ServerBindingKind);
  return bindings.find(({ spec }) => spec?.metalMachineRef?.name === metadata.name && spec.metalMachineRef.namespace === metadata.namespace);
}

/** The binding that allocating the server would make, as far as a configuration depends on it. */
function bindingOf({ metadata, spec, ...type }: MetalMachine, server: string): ServerBinding {
  const { namespace, name, uid, labels } = metadata;
  const { apiVersion, kind } = type;
  return {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'ServerBinding',
    metadata: { name: server, ...(labels && { labels: { ...labels } }) },
    spec: {
      metalMachineRef: { apiVersion, kind, name, ...(namespace && { namespace }), ...(uid && { uid }) },
      ...(spec?.serverClassRef && { serverClassRef: spec.serverClassRef }),
    },
  };
}

// One that is clean and free is the likeliest.
async function someMember(resources: ResourceClient, className: string): Promise<string | undefined> {
  const serverClass = await resources.get(ServerClassKind, { name: className });
  if (!serverClass) return undefined;
  const members = (await resources.list(ServerKind)).filter(matchServerClass(serverClass));
  const free = members.find(({ status }) => status?.isClean && !status.inUse);
  return (free ?? members[0])?.metadata.name;
}
