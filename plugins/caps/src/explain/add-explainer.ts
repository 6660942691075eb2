import { ServerBindingKind, type Sidero, type WhyQuestion } from '@sidero/core';
import type { ClusterApi } from '../cluster-api-version.ts';
import { gatherFacts, machinesOn } from '../controllers/metal-machine-facts.ts';
import { explainMachine, type MachineFindings } from './explain-machine.ts';

/** `sidero why SERVER` tells whose machine the server is, and what that one waits for. */
export function addExplainer({ explainers, resources }: Pick<Sidero, 'explainers' | 'resources'>, clusterApi: ClusterApi): void {
  const findings = async ({ server, when }: WhyQuestion): Promise<MachineFindings> => {
    const { name } = server.metadata;
    const binding = await resources.get(ServerBindingKind, { name }, { live: true });
    const [holder] = await machinesOn(resources, name);
    const ref = binding?.spec?.metalMachineRef ?? holder?.metadata;
    const facts = ref?.namespace && ref.name ? await gatherFacts({ resources, clusterApi }, { namespace: ref.namespace, name: ref.name }) : undefined;
    return { server: name, binding, metalMachine: facts?.metalMachine, machine: facts?.machine, cluster: facts?.cluster, when };
  };
  explainers.add({ name: 'machine', explain: async (question) => explainMachine(await findings(question)) });
}
