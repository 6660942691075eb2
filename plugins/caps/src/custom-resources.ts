import { readFileSync } from 'node:fs';
import { conversionOf, type CustomResource, type CustomResourceDefinition } from '@sidero/core';
import { load } from 'js-yaml';
import { metalClusterV1alpha2, metalMachineTemplateV1alpha2, metalMachineV1alpha2 } from './convert.ts';
import { validateMetalMachineTemplate } from './validate.ts';

// From src/ and from dist/ alike.
const MANIFESTS = new URL('../manifests/crds/', import.meta.url);

/** The kinds that Cluster API works with: MetalCluster, MetalMachine, MetalMachineTemplate. */
export function capsCustomResources(): CustomResource[] {
  const cluster = readDefinition('metalclusters');
  const machine = readDefinition('metalmachines');
  const template = readDefinition('metalmachinetemplates');
  return [
    { name: cluster.metadata.name, definition: cluster, convert: conversionOf(cluster, { v1alpha2: metalClusterV1alpha2 }) },
    { name: machine.metadata.name, definition: machine, convert: conversionOf(machine, { v1alpha2: metalMachineV1alpha2 }) },
    {
      name: template.metadata.name,
      definition: template,
      convert: conversionOf(template, { v1alpha2: metalMachineTemplateV1alpha2 }),
      validate: validateMetalMachineTemplate,
    },
  ];
}

function readDefinition(plural: string): CustomResourceDefinition {
  return load(readFileSync(new URL(`${plural}.yaml`, MANIFESTS), 'utf8')) as CustomResourceDefinition;
}
