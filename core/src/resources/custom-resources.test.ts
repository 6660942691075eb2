import { expect, test } from 'vitest';
import { coreCustomResources } from './custom-resources.ts';

test('core owns four kinds, each under the name of its definition', () => {
  const resources = coreCustomResources();
  expect(resources.map(({ name }) => name)).toEqual([
    'servers.metal.sidero.dev',
    'serverclasses.metal.sidero.dev',
    'environments.metal.sidero.dev',
    'serverbindings.infrastructure.cluster.x-k8s.io',
  ]);
  for (const { name, definition } of resources) {
    expect(name).toBe(`${definition.spec.names.plural}.${definition.spec.group}`);
    expect(definition.spec.versions.filter(({ storage }) => storage)).toHaveLength(1);
  }
});

test('a kind of one version converts to that version only', () => {
  const binding = { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3', kind: 'ServerBinding', metadata: { name: 'a' } };
  const { convert } = coreCustomResources()[3]!;
  expect(convert!(binding, binding.apiVersion)).toBe(binding);
  expect(() => convert!(binding, 'infrastructure.cluster.x-k8s.io/v1alpha2')).toThrow(/there is no version/);
});
