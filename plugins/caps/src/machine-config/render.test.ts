import * as fc from 'fast-check';
import { SideroError } from '@sidero/core';
import { load, loadAll } from 'js-yaml';
import { describe, expect, test } from 'vitest';
import { explainConfig, renderConfig, type RenderInput } from './render.ts';

type Given = Omit<Partial<RenderInput>, 'server' | 'serverClass'> & {
  readonly server?: Partial<RenderInput['server']>;
  readonly serverClass?: Partial<RenderInput['server']>;
};

const input = ({ server, serverClass, ...more }: Given): RenderInput => ({
  uuid: 'U',
  bootstrap: 'version: v1alpha1\nmachine: {}\n',
  documents: [],
  patches: [],
  ...more,
  server: { name: 'Server U', ...server },
  ...(serverClass ? { serverClass: { name: 'ServerClass large', ...serverClass } } : {}),
});
const rendered = (given: Given): Record<string, unknown>[] => loadAll(renderConfig(input(given))) as Record<string, unknown>[];
const machineOf = (given: Given) => rendered(given)[0]!['machine'] as Record<string, unknown>;
const problemOf = (given: Given): string => {
  try {
    renderConfig(input(given));
  } catch (thrown) {
    if (thrown instanceof SideroError) return thrown.message;
    throw thrown;
  }
  return '';
};
/** The configuration that most vectors of the reference start from. */
const base = `version: v1alpha1
machine:
  type: worker
  token: tok
  certSANs: [a, b]
  sysctls: {a: b}
  network:
    hostname: host
    interfaces:
      - interface: eth0
        dhcp: true
        addresses: [10.0.0.1/24]
        vlans: [{vlanId: 5, dhcp: true}]
cluster:
  network: {podSubnets: [10.244.0.0/16]}
  allowSchedulingOnControlPlanes: true
`;
const merged = (patch: string, bootstrap = base) => rendered({ bootstrap, server: { strategicPatches: [patch] } });
const patched = (configPatches: RenderInput['server']['configPatches'], bootstrap = base) => rendered({ bootstrap, server: { configPatches } });

describe('the order of patches', () => {
  test('class before server, operations before merges', () => {
    const { token } = machineOf({
      bootstrap: 'version: v1alpha1\nmachine: {type: worker}\n',
      serverClass: {
        configPatches: [{ op: 'add', path: '/machine/token', value: 'classjson' }],
        strategicPatches: ['machine: {token: classstrat}'],
      },
      server: {
        configPatches: [
          { op: 'test', path: '/machine/token', value: 'classstrat' },
          { op: 'replace', path: '/machine/token', value: 'serverjson' },
        ],
        strategicPatches: ['machine: {token: s1}', 'machine: {token: s2}'],
      },
    });
    expect(token).toBe('s2');
  });

  test('the full example of the reference', () => {
    const documents = [
      'apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: grpc://172.25.0.2:8081\n',
      "apiVersion: v1alpha1\nkind: EventSinkConfig\nendpoint: '[fdae:2859:5bb1:7a03::1]:4002'\n",
      'apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: remote-log\nurl: tcp://[fdae:2859:5bb1:7a03::1]:4001\n',
    ];
    const result = rendered({
      uuid: 'full',
      bootstrap: 'version: v1alpha1\nmachine:\n  type: worker\n  token: tok\n  kubelet:\n    extraArgs:\n      node-labels: foo=bar\n',
      serverClass: {
        configPatches: [{ op: 'add', path: '/machine/network', value: { hostname: 'a' } }],
        strategicPatches: ['machine: {network: {nameservers: [1.1.1.1]}}'],
      },
      server: {
        configPatches: [{ op: 'replace', path: '/machine/network/hostname', value: 'b' }],
        strategicPatches: ['machine: {network: {nameservers: [8.8.8.8]}}'],
      },
      documents,
    });
    expect(result).toEqual([
      {
        version: 'v1alpha1',
        machine: {
          type: 'worker',
          token: 'tok',
          kubelet: { extraArgs: { 'node-labels': 'foo=bar,metal.sidero.dev/uuid=full' } },
          network: { hostname: 'b', nameservers: ['1.1.1.1', '8.8.8.8'] },
        },
      },
      ...documents.map((text) => load(text)),
    ]);
  });
});

describe('a strategic merge', () => {
  const networkOf = (documents: Record<string, unknown>[]) => (documents[0]!['machine'] as { network: Record<string, unknown> }).network;

  test('replaces subnets, even by none', () => {
    expect(merged('cluster: {network: {podSubnets: [1.0.0.0/8], serviceSubnets: []}}')[0]!['cluster']).toMatchObject({
      network: { podSubnets: ['1.0.0.0/8'], serviceSubnets: [] },
    });
  });
  test('lets false win', () => {
    expect(merged('cluster: {allowSchedulingOnControlPlanes: false}')[0]!['cluster']).toMatchObject({ allowSchedulingOnControlPlanes: false });
  });
  test('merges interfaces by name and vlans by id, and appends lists', () => {
    const patch = `machine: {network: {hostname: "", interfaces: [
      {interface: eth0, mtu: 9000, addresses: [10.0.0.2/24], vlans: [{vlanId: 5, dhcp: false}, {vlanId: 6}]}, {interface: eth1}]}}`;
    expect(networkOf(merged(patch))).toEqual({
      hostname: 'host',
      interfaces: [
        {
          interface: 'eth0',
          dhcp: true,
          addresses: ['10.0.0.1/24', '10.0.0.2/24'],
          vlans: [{ vlanId: 5, dhcp: false }, { vlanId: 6 }],
          mtu: 9000,
        },
        { interface: 'eth1' },
      ],
    });
  });
  test('merges interfaces without a name by their selector', () => {
    const bootstrap = 'machine: {network: {interfaces: [{deviceSelector: {driver: e1000}, mtu: 1500}]}}';
    const [document] = merged('machine: {network: {interfaces: [{deviceSelector: {driver: e1000}, dhcp: true}]}}', bootstrap);
    expect(networkOf([document!])).toEqual({ interfaces: [{ deviceSelector: { driver: 'e1000' }, mtu: 1500, dhcp: true }] });
  });
  test('merges admission control by name, its free form recursively', () => {
    const bootstrap = 'machine: {}\ncluster: {apiServer: {admissionControl: [{name: PodSecurity, configuration: {a: 1, list: [1]}}]}}';
    const patch = 'cluster: {apiServer: {admissionControl: [{name: PodSecurity, configuration: {b: 2, list: [2]}}]}}';
    expect(merged(patch, bootstrap)[0]!['cluster']).toEqual({
      apiServer: { admissionControl: [{ name: 'PodSecurity', configuration: { a: 1, list: [1, 2], b: 2 } }] },
    });
  });
  test('replaces an audit policy as a whole', () => {
    const bootstrap = 'machine: {}\ncluster: {apiServer: {auditPolicy: {kind: Policy, rules: [{level: None}]}}}';
    expect(merged('cluster: {apiServer: {auditPolicy: {rules: []}}}', bootstrap)[0]!['cluster']).toEqual({
      apiServer: { auditPolicy: { rules: [] } },
    });
  });
  test.each([
    ['a list', 'machine: {certSANs: {$patch: delete}}', 'certSANs'],
    ['a mapping', 'machine: {sysctls: {$patch: delete}}', 'sysctls'],
  ])('deletes %s', (_, patch, key) => {
    expect(merged(patch)[0]!['machine']).not.toHaveProperty(key);
  });
  test('deletes the element that a key selects', () => {
    expect(networkOf(merged('machine: {network: {interfaces: [{interface: eth0, $patch: delete}]}}'))).toEqual({ hostname: 'host', interfaces: [] });
  });
  test('deletes a document', () => {
    const bootstrap = 'machine: {}\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: x\n';
    expect(merged('apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n', bootstrap)).toHaveLength(1);
  });
  test('takes null and empty texts for silence', () => {
    expect(merged('machine: null')[0]!['machine']).toMatchObject({ token: 'tok' });
    expect(merged('machine: {sysctls: {a: ""}}')[0]!['machine']).toMatchObject({ sysctls: { a: 'b' } });
  });
  test('merges the documents that are there and appends the others', () => {
    const [machine, hostname] = merged('machine: {token: new}\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: x\n');
    expect(machine!['machine']).toMatchObject({ token: 'new', type: 'worker' });
    expect(hostname).toEqual({ apiVersion: 'v1alpha1', kind: 'HostnameConfig', hostname: 'x' });
  });
  test('merges URLs by their parts', () => {
    const bootstrap = 'machine: {}\n---\napiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: https://omni?jointoken=x\n';
    const [, link] = merged('apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: grpc://172.25.0.2:8081\n', bootstrap);
    expect(link!['apiUrl']).toBe('grpc://172.25.0.2:8081?jointoken=x');
  });
  test('lets fields and kinds pass that nobody here knows', () => {
    const [machine, future] = merged('machine: {brandNew: {on: 1}}\n---\napiVersion: v1beta7\nkind: FutureConfig\nwhat: [1]\n');
    expect(machine!['machine']).toMatchObject({ brandNew: { on: 1 } });
    expect(future).toEqual({ apiVersion: 'v1beta7', kind: 'FutureConfig', what: [1] });
  });
  test('may be a list of operations', () => {
    expect(merged('[{"op": "replace", "path": "/machine/token", "value": "json"}]')[0]!['machine']).toMatchObject({ token: 'json' });
    expect(merged('- op: replace\n  path: /machine/token\n  value: yaml\n')[0]!['machine']).toMatchObject({ token: 'yaml' });
    expect(merged('[]')[0]!['machine']).toMatchObject({ token: 'tok' });
    expect(merged('# nothing\n')[0]!['machine']).toMatchObject({ token: 'tok' });
  });
  test('that cannot be done names patch and place, and no value', () => {
    const problem = problemOf({ bootstrap: base, server: { strategicPatches: ['machine: {token: [secret]}'] } });
    expect(problem).toContain('strategicPatches[0] of Server U does not fit');
    expect(problem).toContain('machine.token is a scalar and would be merged with a list');
    expect(problem).not.toContain('secret');
  });
});

describe('operations of RFC 6902', () => {
  const sans = (configPatches: RenderInput['server']['configPatches']) => (patched(configPatches)[0]!['machine'] as { certSANs: unknown }).certSANs;

  test('insert, append and remove', () => {
    expect(
      sans([
        { op: 'remove', path: '/machine/certSANs/0' },
        { op: 'add', path: '/machine/certSANs/0', value: '0th' },
      ]),
    ).toEqual(['0th', 'b']);
    expect(sans([{ op: 'add', path: '/machine/certSANs/-', value: 'z' }])).toEqual(['a', 'b', 'z']);
    expect(sans([{ op: 'add', path: '/machine/certSANs/-1', value: 'z' }])).toEqual(['a', 'b', 'z']);
  });
  test('move and copy', () => {
    const [document] = patched([
      { op: 'copy', from: '/machine/token', path: '/machine/copied' },
      { op: 'move', from: '/machine/type', path: '/machine/moved' },
    ]);
    expect(document!['machine']).toMatchObject({ token: 'tok', copied: 'tok', moved: 'worker' });
    expect(document!['machine']).not.toHaveProperty('type');
  });
  test('work on the machine document of several', () => {
    const bootstrap = 'apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: x\n---\nmachine: {token: a}\n';
    const [machine] = patched([{ op: 'replace', path: '/machine/token', value: 'b' }], bootstrap);
    expect(machine!['machine']).toMatchObject({ token: 'b' });
  });
  test.each([
    ['replace', '/machine/nope/x', 'operation 0 (replace /machine/nope/x): there is no "nope"'],
    ['remove', '/machine/nope', 'operation 0 (remove /machine/nope): there is no "nope"'],
    ['add', '/nope/x', 'operation 0 (add /nope/x): there is no "nope"'],
    ['test', '/machine/token', 'what is there is something else'],
    ['move', '/machine/x', 'it has no "from"'],
    ['explode', '/machine', 'there is no operation "explode"'],
    ['add', '/machine/certSANs/7', 'the list has no place "7"'],
    ['add', 'machine', 'does not begin with "/"'],
  ])('%s %s fails: %s', (op, path, expected) => {
    const problem = problemOf({ bootstrap: base, server: { configPatches: [{ op, path, value: 'secret' }] } });
    expect(problem).toContain(expected);
    expect(problem).not.toContain('secret');
  });
});

describe('the node label', () => {
  const labels = (machine: string) =>
    ((machineOf({ bootstrap: `version: v1alpha1\n${machine}` })['kubelet'] as Record<string, unknown>)['extraArgs'] as Record<string, unknown>)[
      'node-labels'
    ];
  const ours = 'metal.sidero.dev/uuid=U';

  test.each([
    ['machine: {kubelet: {}}', ours],
    ['machine:', ours],
    ['cluster: {}', ours],
    ['machine: {kubelet: {extraArgs: {foo: bar}}}', ours],
    ['machine: {kubelet: {extraArgs: {node-labels: foo=bar}}}', `foo=bar,${ours}`],
    ['machine: {kubelet: {extraArgs: {node-labels: ""}}}', ours],
  ])('%s: %s', (machine, expected) => {
    expect(labels(machine)).toBe(expected);
  });
  test('joins a list', () => {
    expect(labels('machine: {kubelet: {extraArgs: {node-labels: [a=b]}}}')).toEqual(['a=b', ours]);
  });
  test('finds the machine document wherever it stands, and whatever a text holds', () => {
    const bootstrap = 'apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: "a---\\n"\n---\nversion: v1alpha1\nmachine: {}\n';
    expect(machineOf({ bootstrap })).toEqual({ kubelet: { extraArgs: { 'node-labels': ours } } });
  });
  test.each(['machine: {kubelet: [x]}', 'machine: {kubelet: {extraArgs: {node-labels: {a: b}}}}', '#cloud-config\n- a\n', ''])(
    'refuses %s',
    (bootstrap) => {
      expect(problemOf({ bootstrap })).toContain('the bootstrap data cannot be read');
    },
  );
});

describe('what goes in comes out', () => {
  test('as it was written: numbers, keys and texts that YAML versions read differently', () => {
    const bootstrap =
      'machine:\n    on: yes\n    y: 1.10\n    mode: 0644\n    big: 12345678901234567890\n    text: "true"\n    block: |\n        a\n        b\n';
    const lines = renderConfig(input({ bootstrap })).split('\n');
    expect(lines.slice(0, 9)).toEqual(bootstrap.trimEnd().split('\n').slice(0, 9));
  });
  test('bytes are the same for the same input', () => {
    const given = input({ bootstrap: base, server: { strategicPatches: ['machine: {token: x}'] } });
    expect(renderConfig(given)).toBe(renderConfig(structuredClone(given)));
  });
  test('any mapping of JSON survives', () => {
    const key = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
      .filter((text) => !text.startsWith('$') && !['__proto__', 'machine'].includes(text));
    const leaf = fc.oneof(fc.string({ unit: 'grapheme' }), fc.boolean(), fc.integer());
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('tree'), { maxLength: 4 }), fc.dictionary(key, tie('tree'), { maxKeys: 4 })),
    }));
    fc.assert(
      fc.property(fc.dictionary(key, tree, { maxKeys: 5 }), (extra) => {
        const configPatches = [{ op: 'add', path: '/machine/extra', value: extra }];
        expect((patched(configPatches, 'machine: {}')[0]!['machine'] as { extra: unknown }).extra).toEqual(extra);
      }),
    );
  });
});

describe('bad input', () => {
  test.each([
    [
      'a bomb of aliases',
      `a: &a [${'x, '.repeat(50)}]\n${'bcdefghi'
        .split('')
        .map((key, index) => `${key}: &${key} [${`*${'abcdefgh'[index]}, `.repeat(50)}]`)
        .join('\n')}\n`,
      'aliases followed',
    ],
    ['more than 8 MiB', `machine: {x: "${'y'.repeat(8 * 1024 * 1024)}"}`, 'more than 8388608 bytes'],
    ['two machine documents', 'machine: {}\n---\nmachine: {}\n', 'duplicate document'],
    ['a kind without apiVersion', 'machine: {}\n---\nkind: X\n', 'missing apiVersion'],
    ['no YAML', 'machine: {a: [', 'it is not YAML at line 1'],
    ['a key twice', 'machine: {a: 1, a: 2}', 'the key "a" is there twice'],
    ['deep nesting', `machine: ${'['.repeat(300)}${']'.repeat(300)}`, 'nesting exceeded'],
    ['an alias of what it stands in', 'machine: &a {b: *a}', 'nested more than 200 deep'],
    ['a text that the printer cannot write', `machine: {x: "${'y'.repeat(2 * 1024 * 1024)}"}`, 'a text in it has more than 1048576 characters'],
  ])('%s is an error in words', (_, bootstrap, expected) => {
    expect(problemOf({ bootstrap })).toContain(expected);
  });
  const flow = (bytes: number) => `machine: {x: [${'a,'.repeat(bytes / 2)}]}`;
  test.each([
    ['a list of a million values', flow(2 * 1024 * 1024), 'lines and commas'],
    ['as many documents', '---\n'.repeat(1024 * 1024), 'lines and commas'],
    ['a list of what a Secret holds at most', flow(200_000), 'more than 50000 values'],
  ])('%s is refused before it is read to its end, which takes seconds in which nobody else is answered', (_, bootstrap, expected) => {
    expect(problemOf({ bootstrap })).toContain(expected);
  });
  test('a file of 30,000 lines in a configuration is none of it', () => {
    const content = `|\n${'            some line, of a text\n'.repeat(30_000)}`;
    expect(problemOf({ bootstrap: `machine:\n    files:\n        - content: ${content}` })).toBe('');
  });
  const copies = (path: (index: number) => string) =>
    Array.from({ length: 40 }, (_, index) => ({ op: 'copy', from: '/machine', path: `/machine${path(index)}` }));
  test.each([
    ['doubles its values', copies((index) => `/copy-${index}`), 'short'],
    ['doubles its depth', copies((index) => '/a'.repeat(2 ** Math.min(index, 12))), 'short'],
    ['doubles a long text', copies((index) => `/copy-${index}`), 'long'.repeat(50_000)],
  ])('a patch that %s again and again is refused; written out, it needs more memory than there is', (_, configPatches, token) => {
    const bootstrap = JSON.stringify({ machine: { token } });
    expect(problemOf({ bootstrap, server: { configPatches } })).toContain('makes the configuration too large');
  });
  test('any text is rendered or refused in words', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.string({ maxLength: 100 }), (bootstrap, patch) => {
        expect(typeof problemOf({ bootstrap, server: { strategicPatches: [patch] } })).toBe('string');
      }),
      { numRuns: 500 },
    );
  });
});

test('an explanation names the origin of each line', () => {
  const lines = explainConfig(
    input({
      bootstrap: 'machine:\n    type: worker\n    token: a\n',
      server: { strategicPatches: ['machine: {token: b, install: {disk: /dev/vda}}'] },
    }),
  );
  expect(lines).toEqual([
    { text: 'machine:', origin: 'bootstrap data' },
    { text: '    type: worker', origin: 'bootstrap data' },
    { text: '    token: b', origin: 'strategicPatches[0] of Server U' },
    { text: '    install:', origin: 'strategicPatches[0] of Server U' },
    { text: '        disk: /dev/vda', origin: 'strategicPatches[0] of Server U' },
    { text: '    kubelet:', origin: 'node label' },
    { text: '        extraArgs:', origin: 'node label' },
    { text: '            node-labels: metal.sidero.dev/uuid=U', origin: 'node label' },
  ]);
});

test('of ten thousand lines only those around a change are compared', () => {
  const list = Array.from({ length: 10_000 }, (_, index) => `        - value-${index}\n`).join('');
  const bootstrap = `machine:\n    type: worker\n    certSANs:\n${list}    token: a\n`;
  const lines = explainConfig(input({ bootstrap, server: { strategicPatches: ['machine: {type: controlplane}'] } }));
  const changed = lines.filter(({ origin }) => origin.startsWith('strategicPatches'));
  expect(changed.map(({ text }) => text)).toEqual(['    type: controlplane']);
});
