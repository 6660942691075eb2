import { type CustomResourceDefinition, hasCode, type KubeObject } from '@sidero/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capsCustomResources } from './custom-resources.ts';

const HUB = 'infrastructure.cluster.x-k8s.io/v1alpha3';
const OLD = 'infrastructure.cluster.x-k8s.io/v1alpha2';
const CONVERSION_DATA = 'cluster.x-k8s.io/conversion-data';
const resources = new Map(capsCustomResources().map((resource) => [resource.definition.spec.names.kind, resource]));

/** What the versions differ in. */
interface Body {
  spec?: unknown;
  status?: unknown;
}
type Whole = KubeObject & Body;

const objectOf = (kind: string, apiVersion: string, body: Body) =>
  ({ apiVersion, kind, metadata: { name: 'a', namespace: 'default' }, ...body }) as Whole;
const convert = (object: Whole, to: string) => resources.get(object.kind)!.convert!(object, to) as Whole;
const down = (object: Whole) => convert(object, OLD);
const up = (object: Whole) => convert(object, HUB);
const bodyOf = ({ spec, status }: Whole): Body => ({ ...(spec ? { spec } : {}), ...(status ? { status } : {}) });

const endpoint = { host: '10.0.0.10', port: 6443 };
const other = { host: '10.0.0.11', port: 6443 };
const serverRef = { kind: 'Server', name: '4c4c4544-0001' };
const serverClassRef = { kind: 'ServerClass', name: 'any' };
const conditions = [{ type: 'TalosInstalled', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
const addresses = [{ type: 'InternalIP', address: '10.0.0.7' }];

describe('from v1alpha2', () => {
  test.each<[string, string, Body, Body]>([
    [
      'the endpoint of the spec counts first',
      'MetalCluster',
      { spec: { apiEndpoints: [endpoint] }, status: { ready: true, apiEndpoints: [other] } },
      { spec: { controlPlaneEndpoint: endpoint }, status: { ready: true } },
    ],
    ['only the first of several counts', 'MetalCluster', { spec: { apiEndpoints: [endpoint, other] } }, { spec: { controlPlaneEndpoint: endpoint } }],
    [
      'then that of the status',
      'MetalCluster',
      { spec: { apiEndpoints: [] }, status: { ready: false, apiEndpoints: [other] } },
      { spec: { controlPlaneEndpoint: other }, status: { ready: false } },
    ],
    ['without any there is none', 'MetalCluster', { spec: {}, status: { ready: true } }, { spec: {}, status: { ready: true } }],
    [
      'a machine is copied',
      'MetalMachine',
      { spec: { providerID: 'sidero://a', serverRef }, status: { ready: true } },
      { spec: { providerID: 'sidero://a', serverRef }, status: { ready: true } },
    ],
    [
      'errors are failures',
      'MetalMachine',
      { status: { ready: false, errorReason: 'Gone', errorMessage: 'it is gone' } },
      { status: { ready: false, failureReason: 'Gone', failureMessage: 'it is gone' } },
    ],
    [
      'a template is copied',
      'MetalMachineTemplate',
      { spec: { template: { spec: { serverRef } } } },
      { spec: { template: { spec: { serverRef } } } },
    ],
  ])('%s', (_, ...[kind, old, hub]) => {
    expect(bodyOf(up(objectOf(kind, OLD, old)))).toEqual(hub);
  });
});

describe('to v1alpha2', () => {
  test.each<[string, string, Body, Body]>([
    [
      'the endpoint shows in spec and status',
      'MetalCluster',
      { spec: { controlPlaneEndpoint: endpoint }, status: { ready: true } },
      { spec: { apiEndpoints: [endpoint] }, status: { ready: true, apiEndpoints: [endpoint] } },
    ],
    [
      'also when there is no status yet',
      'MetalCluster',
      { spec: { controlPlaneEndpoint: endpoint } },
      { spec: { apiEndpoints: [endpoint] }, status: { ready: false, apiEndpoints: [endpoint] } },
    ],
    [
      'an endpoint of zeros is none',
      'MetalCluster',
      { spec: { controlPlaneEndpoint: { host: '', port: 0 } }, status: { ready: false } },
      { spec: {}, status: { ready: false } },
    ],
    [
      'half an endpoint is one',
      'MetalCluster',
      { spec: { controlPlaneEndpoint: { host: '', port: 6443 } }, status: { ready: false } },
      { spec: { apiEndpoints: [{ host: '', port: 6443 }] }, status: { ready: false, apiEndpoints: [{ host: '', port: 6443 }] } },
    ],
    [
      'a machine has no class',
      'MetalMachine',
      { spec: { providerID: 'sidero://a', serverRef, serverClassRef } },
      { spec: { providerID: 'sidero://a', serverRef } },
    ],
    ['no addresses and no conditions', 'MetalMachine', { status: { ready: true, addresses, conditions } }, { status: { ready: true } }],
    [
      'failures are errors',
      'MetalMachine',
      { status: { failureReason: 'Gone', failureMessage: 'it is gone' } },
      { status: { ready: false, errorReason: 'Gone', errorMessage: 'it is gone' } },
    ],
    [
      'a template has no class',
      'MetalMachineTemplate',
      { spec: { template: { spec: { serverRef, serverClassRef } } }, status: {} },
      { spec: { template: { spec: { serverRef } } }, status: {} },
    ],
  ])('%s', (_, ...[kind, hub, old]) => {
    expect(bodyOf(down(objectOf(kind, HUB, hub)))).toEqual(old);
  });
});

describe('a write through v1alpha2', () => {
  test('of a machine keeps class, addresses and conditions', () => {
    const machine = objectOf('MetalMachine', HUB, { spec: { serverClassRef }, status: { addresses, conditions } });
    const old = down(machine);
    old.spec = { serverRef };
    old.status = { ready: true };
    expect(bodyOf(up(old))).toEqual({ spec: { serverRef, serverClassRef }, status: { ready: true, addresses, conditions } });
  });

  test('of a template keeps its class, so that its labels can change', () => {
    const template = objectOf('MetalMachineTemplate', HUB, { spec: { template: { spec: { serverClassRef } } } });
    const old = down(template);
    old.metadata.labels = { team: 'a' };
    const object = up(old);
    expect(object).toEqual({ ...template, metadata: { ...template.metadata, labels: { team: 'a' } } });
    expect(resources.get('MetalMachineTemplate')!.validate!({ operation: 'UPDATE', oldObject: template, object })).toEqual({ allowed: true });
  });

  test('of a cluster takes over another endpoint', () => {
    const old = down(objectOf('MetalCluster', HUB, { spec: { controlPlaneEndpoint: endpoint }, status: { ready: true } }));
    old.spec = { apiEndpoints: [other] };
    expect(bodyOf(up(old))).toEqual({ spec: { controlPlaneEndpoint: other }, status: { ready: true } });
  });

  test('that takes the endpoint out of spec and status leaves none', () => {
    const old = down(objectOf('MetalCluster', HUB, { spec: { controlPlaneEndpoint: endpoint }, status: { ready: true } }));
    expect(bodyOf(up({ ...old, spec: {}, status: { ready: true } }))).toEqual({ spec: {}, status: { ready: true } });
  });

  test('that says not ready is believed', () => {
    const old = down(objectOf('MetalMachine', HUB, { status: { ready: true } }));
    expect(bodyOf(up({ ...old, status: { ready: false } }))).toEqual({ status: { ready: false } });
  });
});

interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly properties?: Record<string, Schema>;
  readonly required?: string[];
  readonly items?: Schema;
}

function anyOf(schema: Schema): fc.Arbitrary<unknown> {
  switch (schema.type) {
    case 'string':
      return fc.constantFrom(...(schema.enum ?? ['', 'a', 'b', '__proto__', 'é"\\']));
    case 'integer':
      return fc.nat({ max: 2 });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(anyOf(schema.items!), { maxLength: 3 });
    default:
      return fc.record(Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, member]) => [key, anyOf(member)])), {
        requiredKeys: schema.required ?? [],
        noNullPrototype: true,
      });
  }
}

function anyObject(kind: string, apiVersion: string): fc.Arbitrary<Whole> {
  const { spec } = resources.get(kind)!.definition as CustomResourceDefinition;
  const { schema } = spec.versions.find(({ name }) => apiVersion.endsWith(`/${name}`))!;
  const { properties } = schema.openAPIV3Schema as Schema;
  const body = fc.record({ spec: anyOf(properties!['spec']!), status: anyOf(properties!['status']!) }, { requiredKeys: [], noNullPrototype: true });
  return body.map((given) => objectOf(kind, apiVersion, given as Body));
}

const withoutData = (object: Whole) => ({ ...object, metadata: { ...object.metadata, annotations: undefined } });
/** JSON-like comparison: key order and prototypes do not matter. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

describe.each([...resources.keys()])('any %s', (kind) => {
  test('survives hub → old → hub unchanged', () => {
    fc.assert(
      fc.property(anyObject(kind, HUB), (object) => {
        expect(plain(up(down(object)))).toEqual(plain(object));
      }),
      { numRuns: 300 },
    );
  });

  test('survives old → hub → old unchanged', () => {
    // A MetalCluster has one endpoint; what v1alpha2 says of it in several ways is first turned into one.
    const told = (object: Whole) => (kind === 'MetalCluster' ? withoutData(down(up(object))) : object);
    fc.assert(
      fc.property(anyObject(kind, OLD), (object) => {
        const old = plain(told(object)) as Whole;
        expect(plain(withoutData(down(up(old))))).toEqual(old);
      }),
      { numRuns: 300 },
    );
  });

  test('of any JSON is converted or refused, never a crash', () => {
    const anything = fc.record({ apiVersion: fc.constantFrom(HUB, OLD), spec: fc.jsonValue(), status: fc.jsonValue(), data: fc.jsonValue() });
    const members = fc.constantFrom('apiEndpoints', 'controlPlaneEndpoint', 'template', 'serverRef', 'spec', 'ready', 'host');
    const nearly = fc.record({
      apiVersion: fc.constantFrom(HUB, OLD),
      spec: fc.dictionary(members, fc.oneof(fc.jsonValue(), fc.dictionary(members, fc.jsonValue()), fc.constant(null))),
      status: fc.dictionary(members, fc.jsonValue()),
      data: fc.dictionary(members, fc.oneof(fc.jsonValue(), fc.dictionary(members, fc.constant(null)))),
    });
    fc.assert(
      fc.property(fc.oneof(anything, nearly), ({ apiVersion, data, ...body }) => {
        const annotations = { [CONVERSION_DATA]: JSON.stringify({ apiVersion: HUB, kind, spec: data }) };
        const object = { ...objectOf(kind, apiVersion, body), metadata: { name: 'a', annotations } };
        try {
          convert(object, apiVersion === HUB ? OLD : HUB);
        } catch (thrown) {
          if (!hasCode(thrown, 'SIDERO_CONVERSION_FAILED')) throw thrown;
        }
      }),
      { numRuns: 500 },
    );
  });
});
