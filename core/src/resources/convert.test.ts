import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { load } from 'js-yaml';
import { describe, expect, test } from 'vitest';
import { hasCode } from '../errors.ts';
import { CONVERSION_DATA } from './convert.ts';
import type { CustomResourceDefinition } from './custom-resource.ts';
import { coreCustomResources } from './custom-resources.ts';
import type { KubeObject, Server, ServerClass } from './kinds.ts';

const HUB = 'metal.sidero.dev/v1alpha2';
const OLD = 'metal.sidero.dev/v1alpha1';
const resources = new Map(coreCustomResources().map((resource) => [resource.definition.spec.names.kind, resource]));

/** An object as a client of v1alpha1 sees it. */
type Old = { apiVersion: string; kind: string; metadata: KubeObject['metadata']; spec: Record<string, unknown>; status?: Record<string, unknown> };

function convert(object: KubeObject, to: string): KubeObject {
  return resources.get(object.kind)!.convert!(object, to);
}
const down = (object: KubeObject) => convert(object, OLD) as unknown as Old;
const up = <T extends KubeObject>(object: Old) => convert(object as unknown as KubeObject, HUB) as T;

/** The old object, edited by a client. */
function edited(object: KubeObject, edit: (spec: Record<string, unknown>, object: Old) => void): Old {
  const old = structuredClone(down(object));
  edit(old.spec, old);
  return old;
}

const server: Server = {
  apiVersion: HUB,
  kind: 'Server',
  metadata: { name: '4c4c4544-0001', annotations: { mine: 'yes' }, labels: { rack: 'a1' } },
  spec: {
    accepted: true,
    hostname: 'talos-1',
    bmc: { endpoint: '10.0.0.7', port: 623 },
    strategicPatches: ['machine: {}'],
    hardware: {
      system: { uuid: '4c4c4544-0001', manufacturer: 'Dell Inc.', productName: 'R640', serialNumber: 'ABC' },
      compute: {
        totalCoreCount: 32,
        processors: [
          { manufacturer: 'Intel', productName: 'Gold 6130', coreCount: 16 },
          { manufacturer: 'Intel', productName: 'Gold 6130', coreCount: 16 },
        ],
      },
      memory: { totalSize: '64 GB' },
    },
  },
  status: { ready: true, power: 'on', boot: { id: 'b1', mac: '00:11:22:33:44:55' } },
};

const hardware = [
  {
    system: { manufacturer: 'Dell Inc.', uuid: 'u' },
    compute: { totalCoreCount: 8, processors: [{ manufacturer: 'Intel', productName: 'Gold', coreCount: 4 }] },
  },
  { memory: { totalSize: '8 GB' } },
  { system: { family: 'PowerEdge' } },
  { compute: { processors: [{ manufacturer: 'AMD', productName: 'EPYC' }] }, memory: { totalSize: '64 GB' } },
];
const serverClass: ServerClass = {
  apiVersion: HUB,
  kind: 'ServerClass',
  metadata: { name: 'big' },
  spec: { qualifiers: { hardware, labelSelectors: [{ rack: 'a1' }] }, strategicPatches: ['machine: {}'], bootFromDiskMethod: 'http-404' },
  status: { serversAvailable: ['a'], serversInUse: [] },
};
const hardwareOf = (object: Old) => up<ServerClass>(object).spec?.qualifiers?.hardware;

describe('a Server in v1alpha1', () => {
  test('shows the system without uuid, the first processor, and none of what it has no field for', () => {
    expect(down(server)).toEqual({
      apiVersion: OLD,
      kind: 'Server',
      metadata: { ...server.metadata, annotations: { mine: 'yes', [CONVERSION_DATA]: expect.any(String) } },
      spec: {
        accepted: true,
        hostname: 'talos-1',
        bmc: { endpoint: '10.0.0.7', port: 623 },
        system: { manufacturer: 'Dell Inc.', productName: 'R640', serialNumber: 'ABC' },
        cpu: { manufacturer: 'Intel', version: 'Gold 6130' },
      },
      status: server.status,
    });
  });

  test('carries the stored object as compact JSON with sorted keys and without metadata', () => {
    const text = down(server).metadata.annotations![CONVERSION_DATA]!;
    expect(JSON.parse(text)).toEqual({ apiVersion: HUB, kind: 'Server', spec: server.spec, status: server.status });
    expect(text).toMatch(/^\{"apiVersion":"metal\.sidero\.dev\/v1alpha2","kind":"Server","spec":\{"accepted":true,"bmc":/);
  });

  test('is stored without that annotation, and without any annotations when it was the only one', () => {
    expect(up(down(server)).metadata.annotations).toEqual({ mine: 'yes' });
    expect(up(down({ ...server, metadata: { name: 'a' } })).metadata).toEqual({ name: 'a' });
  });

  test('shows where a patch copies from, and keeps it', () => {
    const configPatches = [{ op: 'move', from: '/machine/a', path: '/machine/b' }];
    const moving: Server = { ...server, spec: { accepted: true, configPatches } };
    const old = down(moving);
    expect(old.spec).toEqual({ accepted: true, configPatches });
    expect(up<Server>(old).spec).toEqual({ accepted: true, configPatches });
  });

  test('has no cpu without processors, and an empty one for a processor that says nothing', () => {
    const withProcessors = (processors: object[]) => ({ ...server, spec: { accepted: true, hardware: { compute: { processors } } } });
    expect(down(withProcessors([])).spec).toEqual({ accepted: true });
    expect(down(withProcessors([{ coreCount: 4 }])).spec).toEqual({ accepted: true, cpu: {} });
  });
});

describe('a Server written through v1alpha1', () => {
  test('keeps everything else when one field of it changes', () => {
    const hub = up<Server>(edited(server, (spec) => (spec['cordoned'] = true)));
    expect(hub).toEqual({ ...server, spec: { ...server.spec, cordoned: true } });
  });

  test('loses a shared field that the client took out', () => {
    const { bmc: _, ...rest } = server.spec!;
    expect(up<Server>(edited(server, (spec) => delete spec['bmc'])).spec).toEqual(rest);
  });

  test('takes over edits of system and cpu, and keeps the rest of the hardware', () => {
    const old = edited(server, (spec) => {
      spec['system'] = { manufacturer: 'HPE', serialNumber: 'ABC' };
      spec['cpu'] = { manufacturer: 'Intel', version: 'Gold 6230' };
    });
    expect(up<Server>(old).spec?.hardware).toEqual({
      ...server.spec!.hardware,
      system: { uuid: '4c4c4544-0001', manufacturer: 'HPE', serialNumber: 'ABC' },
      compute: {
        totalCoreCount: 32,
        processors: [
          { manufacturer: 'Intel', productName: 'Gold 6230', coreCount: 16 },
          { manufacturer: 'Intel', productName: 'Gold 6130', coreCount: 16 },
        ],
      },
    });
  });

  test('loses what system and cpu said when the client takes them out, and nothing else', () => {
    const old = edited(server, (spec) => {
      delete spec['system'];
      delete spec['cpu'];
    });
    const hub = up<Server>(old).spec?.hardware;
    expect(hub?.system).toEqual({ uuid: '4c4c4544-0001' });
    expect(hub?.compute?.processors).toEqual([{ coreCount: 16 }, { manufacturer: 'Intel', productName: 'Gold 6130', coreCount: 16 }]);
    expect(hub?.memory).toEqual({ totalSize: '64 GB' });
  });

  test('by a client that drops empty texts changes nothing', () => {
    const empty = {
      ...server,
      spec: { accepted: true, hardware: { system: { uuid: 'u', manufacturer: '' }, compute: { processors: [{ manufacturer: '' }] } } },
    };
    const old = edited(empty, (spec) => {
      spec['system'] = {};
      delete spec['cpu'];
    });
    expect(up(old)).toEqual(empty);
  });

  test('without the annotation is taken as it is', () => {
    const old = edited(server, (_, object) => delete object.metadata.annotations);
    expect(up<Server>(old)).toEqual({
      ...server,
      metadata: { name: '4c4c4544-0001', labels: { rack: 'a1' } },
      spec: {
        accepted: true,
        hostname: 'talos-1',
        bmc: { endpoint: '10.0.0.7', port: 623 },
        hardware: {
          system: { manufacturer: 'Dell Inc.', productName: 'R640', serialNumber: 'ABC' },
          compute: { processors: [{ manufacturer: 'Intel', productName: 'Gold 6130' }] },
        },
      },
    });
  });

  test('takes its status from the client, not from the annotation', () => {
    const old = edited(server, (_, object) => (object.status = { power: 'off' }));
    expect(up<Server>(old).status).toEqual({ power: 'off' });
  });

  test('without a spec has none', () => {
    const old = edited(server, (_, object) => delete (object as Partial<Old>).spec);
    expect(up(old)).not.toHaveProperty('spec');
  });
});

describe('a ServerClass in v1alpha1', () => {
  test('lists the systems and the first processors of its hardware entries', () => {
    expect(down(serverClass).spec).toEqual({
      bootFromDiskMethod: 'http-404',
      qualifiers: {
        systemInformation: [{ manufacturer: 'Dell Inc.' }, { family: 'PowerEdge' }],
        cpu: [
          { manufacturer: 'Intel', version: 'Gold' },
          { manufacturer: 'AMD', version: 'EPYC' },
        ],
        labelSelectors: [{ rack: 'a1' }],
      },
    });
  });

  test('with only a memory qualifier looks as if it had none', () => {
    expect(down({ ...serverClass, spec: { qualifiers: { hardware: [hardware[1]!] } } } as ServerClass).spec).toEqual({ qualifiers: {} });
  });

  test('made there has an entry of its own for each system, then for each cpu', () => {
    const qualifiers = {
      cpu: [{ manufacturer: 'Intel', version: 'Gold' }],
      systemInformation: [{ manufacturer: 'Dell Inc.' }, { family: 'PowerEdge' }],
    };
    expect(hardwareOf({ apiVersion: OLD, kind: 'ServerClass', metadata: { name: 'a' }, spec: { qualifiers } })).toEqual([
      { system: { manufacturer: 'Dell Inc.' } },
      { system: { family: 'PowerEdge' } },
      { compute: { processors: [{ manufacturer: 'Intel', productName: 'Gold' }] } },
    ]);
  });
});

describe('a ServerClass written through v1alpha1', () => {
  const lists = (spec: Record<string, unknown>) =>
    spec['qualifiers'] as { systemInformation?: Record<string, string>[]; cpu?: Record<string, string>[] };

  test('keeps its hardware entries when something else changes', () => {
    expect(up(edited(serverClass, (spec) => (spec['bootFromDiskMethod'] = '')))).toEqual({
      ...serverClass,
      spec: { ...serverClass.spec, bootFromDiskMethod: '' },
    });
  });

  test('an entry edited in place keeps what else it demands', () => {
    const old = edited(serverClass, (spec) => (lists(spec).cpu![1]!['version'] = 'EPYC 2'));
    expect(hardwareOf(old)).toContainEqual({
      compute: { processors: [{ manufacturer: 'AMD', productName: 'EPYC 2' }] },
      memory: { totalSize: '64 GB' },
    });
    expect(hardwareOf(old)).toHaveLength(4);
  });

  test('an entry taken out goes as a whole when nothing of it is left', () => {
    const old = edited(serverClass, (spec) => lists(spec).cpu!.pop());
    expect(hardwareOf(old)).toEqual([hardware[0], hardware[2], hardware[1]]);
  });

  test('an entry of which one part is taken out keeps the other and what else it demands', () => {
    const old = edited(serverClass, (spec) => lists(spec).cpu!.shift());
    expect(hardwareOf(old)).toContainEqual({ system: { manufacturer: 'Dell Inc.', uuid: 'u' }, compute: { totalCoreCount: 8 } });
  });

  test('a new entry is one of its own', () => {
    const old = edited(serverClass, (spec) => lists(spec).systemInformation!.unshift({ manufacturer: 'HPE' }));
    expect(hardwareOf(old)).toHaveLength(5);
    expect(hardwareOf(old)).toContainEqual({ system: { manufacturer: 'HPE' } });
  });

  test('entries put in another order take their other demands with them', () => {
    const old = edited(serverClass, (spec) => lists(spec).cpu!.reverse());
    expect(hardwareOf(old)).toEqual(expect.arrayContaining(hardware));
  });

  test('an entry that replaces two others inherits nothing of them', () => {
    const old = edited(serverClass, (spec) => (lists(spec).cpu = [{ version: 'Other' }]));
    expect(hardwareOf(old)).toContainEqual({ compute: { processors: [{ productName: 'Other' }] } });
  });

  test('shows its entries again in the order in which they were written', () => {
    const mixed = [{ compute: { processors: [{ productName: 'A' }] } }, { system: { family: 'S' }, compute: { processors: [{ productName: 'B' }] } }];
    const old = edited(
      { ...serverClass, spec: { qualifiers: { hardware: mixed } } } as ServerClass,
      (spec) => (lists(spec).cpu![0]!['version'] = 'C'),
    );
    expect(down(up(old)).spec).toEqual({ qualifiers: { systemInformation: [{ family: 'S' }], cpu: [{ version: 'C' }, { version: 'B' }] } });
  });

  test('what v1alpha1 cannot show survives the loss of all its qualifiers', () => {
    expect(hardwareOf(edited(serverClass, (spec) => delete spec['qualifiers']))).toEqual([hardware[1]]);
  });
});

describe('what cannot be converted is refused with its reason', () => {
  const annotated = (text: string): Old => ({
    apiVersion: OLD,
    kind: 'Server',
    metadata: { name: 'a', annotations: { [CONVERSION_DATA]: text } },
    spec: {},
  });

  test.each([
    ['an annotation that is no JSON', annotated('{'), /is not JSON/],
    [
      'an annotation of another kind',
      annotated('{"apiVersion":"metal.sidero.dev/v1alpha2","kind":"Environment"}'),
      /does not hold a Server of metal.sidero.dev\/v1alpha2/,
    ],
    ['an annotation that is null', annotated('null'), /does not hold a Server/],
    [
      'an annotation with wrong types',
      annotated('{"apiVersion":"metal.sidero.dev/v1alpha2","kind":"Server","spec":{"hardware":5}}'),
      /spec.hardware is a number, not an object/,
    ],
    ['data of a wrong type', { ...annotated('{}'), spec: { system: [] } }, /spec.system is an array, not an object/],
    ['null in a list', { ...annotated('{}'), spec: { configPatches: [null] } }, /spec.configPatches\[0\] is null, not an object/],
    ['an unknown version', { ...annotated('{}'), apiVersion: 'metal.sidero.dev/v9' }, /there is no version metal.sidero.dev\/v9/],
  ])('%s', (_, object, reason) => {
    expect(() => up(object)).toThrow(expect.objectContaining({ code: 'SIDERO_CONVERSION_FAILED', message: expect.stringMatching(reason) }));
  });

  test('a version to convert to that does not exist', () => {
    expect(() => convert(server, 'metal.sidero.dev/v9')).toThrow(/there is no version metal.sidero.dev\/v9/);
  });
});

test('an object already in the wanted version stays as it is', () => {
  expect(convert(server, HUB)).toBe(server);
});

test('an Environment is the same in both versions', () => {
  const environment = { apiVersion: HUB, kind: 'Environment', metadata: { name: 'default' }, spec: { kernel: { url: 'http://a', args: ['a'] } } };
  expect(down(environment)).toMatchObject({ apiVersion: OLD, spec: environment.spec });
  expect(up(down(environment))).toEqual(environment);
});

interface Schema {
  readonly type?: string;
  readonly properties?: Record<string, Schema>;
  readonly required?: string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

/** Any value of the schema; lists and texts are never empty where `filled` says so, since empty and absent are one to old clients. */
function anyOf(schema: Schema, filled: boolean): fc.Arbitrary<unknown> {
  switch (schema.type) {
    case 'string':
      return filled ? fc.constantFrom('a', 'b', 'c') : fc.constantFrom('', 'a', 'b', '__proto__', 'é"\\');
    case 'integer':
      return fc.nat();
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(anyOf(schema.items!, filled), { minLength: filled ? 1 : 0, maxLength: 3 });
    case 'object':
      if (schema.additionalProperties) return fc.dictionary(fc.constantFrom('a', 'b'), anyOf(schema.additionalProperties, filled));
      return fc.record(Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, member]) => [key, anyOf(member, filled)])), {
        requiredKeys: schema.required ?? [],
        noNullPrototype: true,
      });
    default:
      return fc.jsonValue();
  }
}

function schemaOf(plural: string, version: string): Schema {
  const crd = load(readFileSync(new URL(`../../manifests/crds/${plural}.yaml`, import.meta.url), 'utf8')) as CustomResourceDefinition;
  return crd.spec.versions.find(({ name }) => name === version)!.schema.openAPIV3Schema;
}

function anyObject(kind: string, apiVersion: string, filled: boolean): fc.Arbitrary<KubeObject> {
  const { spec, status } = schemaOf(kind === 'ServerClass' ? 'serverclasses' : `${kind.toLowerCase()}s`, apiVersion.split('/')[1]!).properties!;
  const body = fc.record({ spec: anyOf(spec!, filled), status: anyOf(status!, filled) }, { requiredKeys: [], noNullPrototype: true });
  return body.map((given) => ({ apiVersion, kind, metadata: { name: 'a' }, ...given }));
}

const KINDS = ['Server', 'ServerClass', 'Environment'];
const withoutData = (object: KubeObject | Old) => ({ ...object, metadata: { ...object.metadata, annotations: undefined } });
/** JSON-like comparison: key order and prototypes do not matter. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

describe.each(KINDS)('any %s', (kind) => {
  test('survives hub → old → hub unchanged', () => {
    fc.assert(
      fc.property(anyObject(kind, HUB, false), (object) => {
        expect(plain(up(down(object)))).toEqual(plain(object));
      }),
      { numRuns: 200 },
    );
  });

  test('survives old → hub → old unchanged', () => {
    fc.assert(
      fc.property(anyObject(kind, OLD, true), (object) => {
        expect(plain(withoutData(down(up(object as unknown as Old))))).toEqual(plain(object));
      }),
      { numRuns: 200 },
    );
  });

  test('given back by an old client with other contents shows those contents', () => {
    fc.assert(
      fc.property(anyObject(kind, HUB, false), anyObject(kind, OLD, true), (known, wanted) => {
        const old = { ...wanted, metadata: down(known).metadata } as unknown as Old;
        const after = withoutData(down(up(old)));
        expect(meaningOf(after)).toEqual(meaningOf(withoutData(old)));
      }),
      { numRuns: 300 },
    );
  });

  test('of any JSON is converted or refused, never a crash', () => {
    const anything = fc.record({
      spec: fc.jsonValue(),
      status: fc.jsonValue(),
      data: fc.oneof(
        fc.json(),
        fc.jsonValue().map((spec) => JSON.stringify({ apiVersion: HUB, kind, spec })),
      ),
    });
    fc.assert(
      fc.property(anything, ({ spec, status, data }) => {
        const object = { apiVersion: OLD, kind, metadata: { name: 'a', annotations: { [CONVERSION_DATA]: data } }, spec, status };
        try {
          up(object as unknown as Old);
        } catch (thrown) {
          if (!hasCode(thrown, 'SIDERO_CONVERSION_FAILED')) throw thrown;
        }
      }),
    );
  });
});

/** What an old object says: absent is the same as empty, and the entries of the two qualifier lists are alternatives, in any order. */
function meaningOf(object: unknown): unknown {
  const bare = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(bare);
    if (typeof value !== 'object' || value === null) return value;
    const members = Object.entries(value).map(([key, member]) => [key, bare(member)] as const);
    return Object.fromEntries(members.filter(([, member]) => member !== '' && JSON.stringify(member) !== '{}' && JSON.stringify(member) !== '[]'));
  };
  const result = bare(plain(object)) as { spec?: { qualifiers?: Record<string, unknown> } };
  const qualifiers = result.spec?.qualifiers;
  for (const list of ['cpu', 'systemInformation']) {
    const entries = qualifiers?.[list];
    if (Array.isArray(entries)) qualifiers![list] = entries.map((entry) => JSON.stringify(entry, Object.keys(entry as object).toSorted())).toSorted();
  }
  return result;
}
