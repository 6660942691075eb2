import { readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import { conversionOf } from './convert.ts';
import { environmentV1alpha1, serverClassV1alpha1, serverV1alpha1 } from './convert-metal.ts';
import type { CustomResource, CustomResourceDefinition } from './custom-resource.ts';
import { type BroughtNames, validateServer } from './validate.ts';

// From src/ and from dist/ alike.
const MANIFESTS = new URL('../../manifests/crds/', import.meta.url);

/** The kinds that core owns: Server, ServerClass, Environment, ServerBinding. `brought` tells what plugins brought, asked at each write of a Server. */
export function coreCustomResources(brought: () => BroughtNames = () => ({})): CustomResource[] {
  const server = readDefinition('servers');
  const serverClass = readDefinition('serverclasses');
  const environment = readDefinition('environments');
  const serverBinding = readDefinition('serverbindings');
  return [
    {
      name: server.metadata.name,
      definition: server,
      convert: conversionOf(server, { v1alpha1: serverV1alpha1 }),
      validate: (request) => validateServer(request, brought()),
    },
    { name: serverClass.metadata.name, definition: serverClass, convert: conversionOf(serverClass, { v1alpha1: serverClassV1alpha1 }) },
    { name: environment.metadata.name, definition: environment, convert: conversionOf(environment, { v1alpha1: environmentV1alpha1 }) },
    { name: serverBinding.metadata.name, definition: serverBinding, convert: conversionOf(serverBinding, {}) },
  ];
}

function readDefinition(plural: string): CustomResourceDefinition {
  return load(readFileSync(new URL(`${plural}.yaml`, MANIFESTS), 'utf8')) as CustomResourceDefinition;
}
