import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { coreCustomResources } from '@sidero/core';
import { type ApiServer, startApiServer } from '@sidero/plugin-apiserver';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ensureKubernetesParts,
  KUBERNETES_VERSION,
  type KubectlResult,
  type RealKubeApi,
  startKubeApiServer,
  testCache,
  untilServed,
} from './kube-apiserver.ts';

/** One kubectl call that is made against a real API server and against ours. */
interface Step {
  readonly args: string;
  readonly input?: object | string;
  /** Why the texts differ on purpose; then only the exit codes are compared. */
  readonly differs?: string;
}

const text = { type: 'string' };
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'machines.example.dev' },
  spec: {
    group: 'example.dev',
    scope: 'Namespaced',
    names: { kind: 'Machine', plural: 'machines', shortNames: ['mc'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Hostname', type: 'string', jsonPath: '.spec.hostname' },
          { name: 'Endpoint', type: 'string', jsonPath: '.spec.bmc.endpoint', priority: 1 },
          { name: 'Accepted', type: 'boolean', jsonPath: '.spec.accepted' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Cluster', type: 'string', jsonPath: '.metadata.labels.cluster\\.x-k8s\\.io/cluster-name' },
          { name: 'Servers', type: 'string', jsonPath: '.status.servers' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: 'A machine of the test.',
            properties: {
              spec: {
                type: 'object',
                description: 'What is wanted.',
                required: ['accepted'],
                properties: {
                  accepted: { type: 'boolean', description: 'May be used.' },
                  hostname: { ...text, maxLength: 20, minLength: 2, pattern: '^[a-z0-9-]+$' },
                  method: { ...text, enum: ['ipxe-exit', 'http-404'] },
                  port: { type: 'integer', format: 'int32', minimum: 1, maximum: 65_535 },
                  weight: { type: 'integer', default: 5 },
                  threshold: { 'x-kubernetes-int-or-string': true },
                  value: { 'x-kubernetes-preserve-unknown-fields': true },
                  bmc: { type: 'object', required: ['endpoint'], properties: { endpoint: text } },
                  tags: { type: 'array', maxItems: 3, items: text, 'x-kubernetes-list-type': 'set' },
                  disks: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: { type: 'object', required: ['name'], properties: { name: text, size: { type: 'integer' } } },
                  },
                  labels: { type: 'object', additionalProperties: text },
                  since: { ...text, format: 'date-time' },
                },
              },
              status: {
                type: 'object',
                properties: {
                  ready: { type: 'boolean' },
                  servers: { type: 'array', items: text },
                  conditions: { type: 'array', items: { type: 'object', required: ['type'], properties: { type: text, status: text } } },
                },
              },
            },
          },
        },
      },
    ],
  },
};

const machine = (name: string, spec: object, metadata: object = {}) => ({
  apiVersion: 'example.dev/v1',
  kind: 'Machine',
  metadata: { name, namespace: 'default', ...metadata },
  spec,
});
const full = machine(
  'm1',
  {
    accepted: true,
    hostname: 'host-1',
    port: 80,
    threshold: '50%',
    value: { any: [1, { x: 'why' }] },
    bmc: { endpoint: '10.0.0.1' },
    tags: ['p', 'q'],
    disks: [{ name: 'sda', size: 1 }],
    labels: { k: 'v' },
    since: '2024-01-01T00:00:00Z',
  },
  { labels: { a: 'b', 'cluster.x-k8s.io/cluster-name': 'c1' } },
);
const renamed = { ...full, spec: { ...full.spec, hostname: 'host-3' } };
const mistyped = { ...machine('s1', { accepted: true, hostnam: 'typo', disks: [{ name: 'a', bogus: 1 }] }), bogus: 1 };
const event = {
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: 'ev', namespace: 'default' },
  involvedObject: { kind: 'Machine', name: 'm1', namespace: 'default' },
  reason: 'Because',
  message: 'hello',
  type: 'Normal',
  source: { component: 'me' },
  firstTimestamp: '2026-01-01T00:00:00Z',
  lastTimestamp: '2026-01-01T00:00:00Z',
  count: 2,
};

const patches: readonly object[] = [
  { spec: { hostname: 'X' } },
  { spec: { hostname: 'a'.repeat(30) } },
  { spec: { method: 'bogus' } },
  { spec: { port: 70_000 } },
  { spec: { port: 1.5 } },
  { spec: { port: '80' } },
  { spec: { threshold: true } },
  { spec: { tags: ['a', 'a'] } },
  { spec: { tags: ['a', 'b', 'c', 'd'] } },
  { spec: { disks: [{ name: 'a' }, { name: 'a' }] } },
  { spec: { disks: [{ size: 1 }] } },
  { spec: { since: 'yesterday' } },
  { spec: { bmc: { endpoint: null } } },
  { spec: { bmc: 5 } },
  { spec: { accepted: null } },
  { spec: { labels: { k: 1 } } },
  { spec: { unknownField: 1 } },
  { metadata: { name: 'other' } },
  { metadata: { labels: { 'b@d': 'x' } } },
  { metadata: { labels: { x: 'b!d' } } },
  { spec: { weight: null } },
];

const ready = { spec: { hostname: 'ignored' }, status: { ready: true, conditions: [{ type: 'Ready', status: 'True' }], servers: ['u1', 'u2'] } };
const ownWords = 'descriptions are in our own words';

const steps: readonly Step[] = [
  { args: 'apply -f -', input: definition },
  { args: 'wait --for=condition=Established crd/machines.example.dev --timeout=10s' },
  { args: 'create -f -', input: full },
  { args: 'create -f -', input: full },
  { args: 'get machines' },
  { args: 'get mc -o wide' },
  { args: 'get mc -A' },
  { args: 'get mc m1 -o yaml' },
  { args: 'get mc m1 -o json' },
  { args: 'get mc m1 -o jsonpath={.spec.hostname}' },
  { args: 'get mc -o name' },
  { args: 'get mc -o custom-columns=N:.metadata.name,H:.spec.hostname' },
  { args: 'get mc -l a=b -o name' },
  { args: 'get mc -l a!=b' },
  { args: 'get mc --field-selector metadata.name=m1 -o name' },
  { args: 'get mc --field-selector spec.hostname=x' },
  { args: 'get mc nope' },
  { args: 'get nope' },
  { args: 'describe mc m1' },
  { args: 'create -f -', input: machine('bad', { hostname: 7, port: 0 }) },
  ...patches.map((patch) => ({ args: `patch mc m1 --type=merge -p ${JSON.stringify(patch)}` })),
  { args: 'patch mc m1 --type=json -p [{"op":"replace","path":"/spec/hostname","value":"host-2"}]' },
  { args: 'patch mc m1 --type=json -p [{"op":"test","path":"/spec/hostname","value":"zzz"}]', differs: 'ours says which operation failed' },
  { args: 'patch mc m1 --type=strategic -p {"spec":{"hostname":"x"}}' },
  { args: `patch mc m1 --type=merge --subresource=status -p ${JSON.stringify(ready)}` },
  { args: 'get mc m1 -o yaml' },
  { args: 'get mc' },
  { args: 'wait --for=condition=Ready mc/m1 --timeout=5s' },
  { args: 'wait --for=jsonpath={.status.ready}=true mc/m1 --timeout=5s' },
  { args: 'wait --for=condition=Nope mc/m1 --timeout=1s' },
  { args: 'label mc m1 new=label' },
  { args: 'label mc m1 new=other' },
  { args: 'label mc m1 new-' },
  { args: 'annotate mc m1 note=hello' },
  { args: 'create -f -', input: mistyped },
  { args: 'create -f - --validate=warn', input: mistyped },
  { args: 'apply -f -', input: full },
  { args: 'apply -f -', input: full },
  { args: 'diff -f -', input: renamed },
  { args: 'apply -f - --dry-run=server', input: renamed },
  { args: 'apply -f -', input: renamed },
  {
    args: 'apply -f - --server-side --field-manager=one',
    input: machine('ssa', { accepted: true, hostname: 'one', disks: [{ name: 'sda', size: 1 }] }),
  },
  { args: 'apply -f - --server-side --field-manager=two', input: machine('ssa', { accepted: true, hostname: 'two' }) },
  {
    args: 'apply -f - --server-side --field-manager=two --force-conflicts',
    input: machine('ssa', { accepted: true, hostname: 'two', disks: [{ name: 'sdb', size: 1 }] }),
  },
  { args: 'apply -f - --server-side --field-manager=one', input: machine('ssa', { accepted: true, hostname: 'two' }) },
  { args: 'get mc ssa -o json --show-managed-fields' },
  { args: 'edit mc m1' },
  { args: 'get mc m1 -o jsonpath={.spec.hostname}' },
  { args: 'explain mc', differs: ownWords },
  { args: 'explain mc.spec' },
  { args: 'explain mc.spec.bmc.endpoint' },
  { args: 'explain mc.spec.nope' },
  { args: 'create ns foo' },
  { args: 'create ns Foo_' },
  { args: 'get ns foo -o yaml' },
  { args: 'create secret generic sec --from-literal=a=b -n foo' },
  { args: 'get secret sec -n foo -o yaml' },
  { args: 'get secrets -n foo' },
  { args: 'create secret generic sec --from-literal=a=b -n nope' },
  { args: 'create configmap cm --from-literal=a=b -n foo' },
  { args: 'get cm cm -n foo' },
  { args: 'describe cm cm -n foo' },
  { args: 'describe secret sec -n foo' },
  { args: 'create sa robot -n foo' },
  { args: 'patch secret sec -n foo -p {"stringData":{"c":"d"}}' },
  { args: 'patch cm cm -n foo -p {"data":{"b":"c","a":null}}' },
  { args: 'get cm cm -n foo -o yaml' },
  { args: 'auth can-i create machines' },
  { args: 'auth can-i * * -A' },
  { args: 'api-resources --api-group=example.dev' },
  { args: 'delete mc m1 --dry-run=server' },
  { args: 'patch mc m1 --type=merge -p {"metadata":{"finalizers":["example.dev/hold"]}}' },
  { args: 'delete mc m1 --wait=false' },
  { args: 'get mc m1 -o yaml' },
  { args: 'patch mc m1 --type=merge -p {"metadata":{"finalizers":["example.dev/hold","example.dev/more"]}}' },
  { args: 'patch mc m1 --type=merge -p {"metadata":{"finalizers":null}}' },
  { args: 'get mc m1' },
  { args: 'create -f -', input: machine('kept', { accepted: true, value: [{ op: 'add', value: { a: [{ b: 1 }] } }, [[{ c: 1 }]]] }) },
  { args: 'get mc kept -o json' },
  { args: 'delete mc --all' },
  { args: 'delete ns default', differs: 'the reason is in our own words' },
  { args: 'create -f -', input: event },
  { args: 'get events --field-selector involvedObject.name=m1 --no-headers' },
  { args: 'get events -o wide --field-selector involvedObject.name=m1' },
  { args: 'get --raw /nope', differs: 'a Status instead of plain text' },
  { args: 'get --raw /apis/example.dev' },
  { args: 'delete crd machines.example.dev' },
];

const timeOrIdentity: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/g, 'UID'],
  [/(resourceVersion: |"resourceVersion": |Resource Version: +)"?\d+"?/g, '$1RV'],
  [/\d{4}-\d\d-\d\d[T ][\d:.]+(Z| \+0000)?/g, 'TIME'],
  [/\/tmp\/[^ "\n\t]*/g, 'PATH'],
  [/\b\d+(ms|s|m|h|d)(\d+s)?\b/g, 'AGE'],
  [/ +$/gm, ''],
  [/ {2,}/g, '  '],
];

function comparable({ stdout, stderr, code }: KubectlResult) {
  // First, while the indentation tells where they end.
  const sorted = `${stdout}${stderr}`.replace(/(?<="managedFields": )\[[^]*?\n {8}\]/, sortedByManager);
  const said = timeOrIdentity.reduce((all, [pattern, by]) => all.replaceAll(pattern, by), sorted);
  // Several causes of one refusal come in any order, there and here.
  return { said: said.replaceAll(/(^\* .*\n)+/gm, (causes) => causes.split('\n').sort().join('\n')), code };
}

// Managers stand in the order of their last second, which the two APIs need not share.
function sortedByManager(managedFields: string): string {
  const entries = JSON.parse(managedFields) as { manager: string }[];
  return JSON.stringify(entries.toSorted((a, b) => a.manager.localeCompare(b.manager)));
}

const isPossible = existsSync(join(testCache(), `kubernetes-${KUBERNETES_VERSION}`, 'kube-apiserver'));

describe.skipIf(!isPossible)('kubectl against our API and against a real one', () => {
  let folder: string;
  let real: RealKubeApi;
  let ours: ApiServer;
  const answers = { real: [] as KubectlResult[], ours: [] as KubectlResult[] };

  /** kubectl with the kubeconfig of one of the two; words are split at blanks that JSON does not hold. */
  async function kubectl(kubeconfig: string, { args, input }: Step): Promise<KubectlResult> {
    const { kubectl: file } = await ensureKubernetesParts();
    const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder, KUBECACHEDIR: `${kubeconfig}.cache`, EDITOR: 'sed -i s/host-3/host-9/' };
    const child = spawn(file, args.split(' '), { env, stdio: 'pipe' });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) child[stream].setEncoding('utf8').on('data', (part: string) => (said[stream] += part));
    child.stdin.on('error', () => {}).end(input === undefined ? '' : JSON.stringify(input));
    const code = await new Promise<number>((resolve, reject) => child.once('error', reject).once('close', (value) => resolve(value ?? -1)));
    return { ...said, code };
  }

  async function runAll(which: 'real' | 'ours', kubeconfig: string): Promise<void> {
    for (const step of steps) {
      answers[which].push(await kubectl(kubeconfig, step));
      if (which === 'real' && step.args.includes('--for=condition=Established')) await untilServed(real);
    }
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sidero-kubectl-'));
    [real, ours] = await Promise.all([startKubeApiServer(), startApiServer({ customResources: coreCustomResources() })]);
    const kubeconfig = join(folder, 'ours');
    await writeFile(kubeconfig, ours.kubeconfigYaml, { mode: 0o600 });
    await Promise.all([runAll('real', real.kubeconfigPath), runAll('ours', kubeconfig)]);
  }, 300_000);

  afterAll(async () => {
    await Promise.all([real?.close(), ours?.close()]);
    await rm(folder, { recursive: true, force: true });
  });

  test.each(steps.map((step, index) => ({ ...step, index })))('$index: kubectl $args', ({ index, differs }) => {
    const [expected, actual] = [comparable(answers.real[index]!), comparable(answers.ours[index]!)];
    if (differs) expect(actual.code).toBe(expected.code);
    else expect(actual).toEqual(expected);
  });

  test('the kinds of Sidero are served with their columns', async () => {
    const { stdout, code } = await kubectl(join(folder, 'ours'), { args: 'get servers,serverclasses,environments,serverbindings' });
    expect([stdout, code]).toEqual(['', 0]);
    const { stdout: explained } = await kubectl(join(folder, 'ours'), { args: 'explain server.spec.bmc' });
    expect(explained).toContain('endpoint\t<string> -required-');
  });
});
