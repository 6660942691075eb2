import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { dump, load, loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as original from './bundle.expected.ts';

const ROOT = join(import.meta.dirname, '../..');
const SIDERO = ['--conditions=source', join(ROOT, 'core/bin/sidero.js')];
const PLUGINS = ['apiserver', 'agent', 'boot-ipxe', 'redfish', 'ipmi', 'management-api', 'siderolink', 'caps'];
const NAMES = ['sidero-system', 'sidero-controller-manager'] as const;

interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number | string; readonly protocol: string }[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly privileged?: boolean;
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface Installed {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly rules?: readonly { readonly apiGroups: readonly string[]; readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
  readonly roleRef?: { readonly name: string };
  readonly subjects?: unknown;
  readonly webhooks?: readonly {
    readonly name: string;
    readonly clientConfig: { readonly service: { readonly name: string; readonly path: string } };
    readonly rules: readonly [
      { readonly apiGroups: readonly [string]; readonly resources: readonly [string]; readonly operations: readonly string[] },
    ];
    readonly failurePolicy: string;
    readonly sideEffects: string;
  }[];
  readonly spec?: {
    readonly ports?: readonly [{ readonly port: number | string; readonly targetPort: number | string; readonly protocol?: string }];
    readonly selector?: Record<string, string> & { readonly matchLabels?: Record<string, string> };
    readonly strategy?: { readonly type: string };
    readonly template?: {
      readonly metadata: { readonly labels: Record<string, string> };
      readonly spec: {
        readonly containers: readonly Container[];
        readonly hostNetwork: string;
        readonly terminationGracePeriodSeconds: number;
        readonly volumes: readonly {
          readonly name: string;
          readonly secret?: { secretName: string };
          readonly hostPath?: { path: string; type: string };
        }[];
      };
    };
    readonly conversion?: { readonly webhook: { readonly clientConfig: { readonly service: { readonly name: string } } } };
    readonly dnsNames?: readonly string[];
  };
}
interface Inspection {
  readonly plugins: readonly Settable[];
  readonly site: Settable;
}
interface Settable {
  readonly options: { readonly properties?: Record<string, { readonly default?: unknown }> };
  readonly settings: Record<string, string>;
}

describe('the install bundle', () => {
  let folder: string;
  let text: string;
  let ours: readonly Installed[];
  let inspection: Inspection;
  let release: string;
  /** Of the listed differences, those that there are. */
  const met = new Set<RegExp>();

  beforeAll(async () => {
    await mkdir(join(ROOT, '.cache'), { recursive: true });
    folder = await mkdtemp(join(ROOT, '.cache', 'bundle-'));
    const config = join(folder, 'sidero.config.yaml');
    await writeFile(config, dump({ plugins: PLUGINS.map((name) => `@sidero/plugin-${name}`) }));
    const sidero = async (...args: string[]) => (await promisify(execFile)(process.execPath, [...SIDERO, '--config', config, ...args])).stdout;
    const [printed, inspected] = await Promise.all([sidero('manifests', '--bundle', folder), sidero('inspect', '--json')]);
    inspection = JSON.parse(inspected) as Inspection;
    const [provider] = (load(printed) as { providers: [{ name: string; type: string; url: string }] }).providers;
    expect([provider.name, provider.type]).toEqual(['sidero', 'InfrastructureProvider']);
    release = join(new URL(provider.url).pathname, '..');
    text = await readFile(new URL(provider.url), 'utf8');
    ours = loadAll(text) as Installed[];
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const named = (kind: string, name: string) => ours.find((one) => one.kind === kind && one.metadata.name === name)!;
  const deployment = () => named('Deployment', NAMES[1]).spec!;

  /** The facts of both, and each difference once, with the words that explain it. */
  function compare(theirs: readonly string[], mine: readonly string[]): readonly string[] {
    const different = [...theirs.filter((fact) => !mine.includes(fact)), ...mine.filter((fact) => !theirs.includes(fact))];
    for (const fact of different) for (const [facts] of original.differences) if (facts.test(fact)) met.add(facts);
    return different.filter((fact) => !original.differences.some(([facts]) => facts.test(fact)));
  }

  test('each difference is documented, with its reason', () => {
    const page = readFileSync(join(ROOT, 'docs/differences.md'), 'utf8');
    expect(original.differences.map(([, words]) => words).filter((words) => !page.includes(words))).toEqual([]);
  });

  test('has the objects of the original', () => {
    const theirs = Object.entries(original.objects).flatMap(([kind, names]) => names.map((name) => `object ${kind} ${name}`));
    expect(
      compare(
        theirs,
        ours.map(({ kind, metadata }) => `object ${kind} ${metadata.name}`),
      ),
    ).toEqual([]);
  });

  test('labels every object, selector and pod as the original does', () => {
    for (const { kind, metadata } of ours) expect(metadata.labels, `${kind} ${metadata.name}`).toMatchObject(original.labels);
    const selector = { ...original.labels, 'control-plane': NAMES[1] };
    for (const service of ours.filter(({ kind }) => kind === 'Service')) expect(service.spec?.selector).toEqual(selector);
    expect(deployment().selector?.matchLabels).toEqual(selector);
    expect(deployment().template?.metadata.labels).toEqual(selector);
    expect(named('Namespace', NAMES[0]).metadata.labels['pod-security.kubernetes.io/enforce']).toBe('privileged');
  });

  test('puts all that has a namespace into that of the original', () => {
    const scoped = ours.filter(({ kind }) => /^(Role|RoleBinding|Service|Deployment|Certificate|Issuer)$/.test(kind));
    expect(scoped.map(({ metadata }) => metadata.namespace)).toEqual(scoped.map(() => NAMES[0]));
  });

  const rightsOf = (rules: readonly (readonly [string, string, string])[]) =>
    rules.flatMap(([group, resources, verbs]) =>
      resources.split(' ').flatMap((resource) => verbs.split(' ').map((verb) => `${verb} ${group}/${resource}`)),
    );
  const rightsIn = ({ rules = [] }: Installed) =>
    rules.flatMap(({ apiGroups, resources, verbs }) => rightsOf(apiGroups.map((group) => [group, resources.join(' '), verbs.join(' ')])));

  test('gives the account of the original no more than that had, but for what ours reads', () => {
    const bound = ours.flatMap(({ roleRef, subjects }) => (roleRef ? [{ role: roleRef.name, subjects }] : []));
    for (const { subjects } of bound) expect(subjects).toEqual([{ kind: 'ServiceAccount', name: 'default', namespace: NAMES[0] }]);
    const roles = ours.filter(({ kind, metadata }) => kind.endsWith('Role') && bound.some(({ role }) => role === metadata.name));
    const mine = new Set(roles.flatMap(rightsIn));
    const more = [...mine].filter((right) => !rightsOf(original.rights).includes(right));
    expect(more.toSorted()).toEqual(['get /namespaces', 'get apiextensions.k8s.io/customresourcedefinitions']);
    expect(
      compare(
        rightsOf(original.rights).map((right) => `may ${right}`),
        [...mine].map((right) => `may ${right}`),
      ),
    ).toEqual([]);
  });

  test('binds no name of the original to another role, which an API server refuses', () => {
    const shared = ours.filter(({ roleRef, metadata }) => roleRef && metadata.name in original.roleRefs);
    expect(shared.length).toBeGreaterThan(0);
    for (const { metadata, roleRef } of shared) expect(roleRef?.name, metadata.name).toBe(original.roleRefs[metadata.name]);
  });

  test('has the roles that sites bind their people to', () => {
    for (const [name, rules] of Object.entries(original.editors))
      expect(rightsIn(named('ClusterRole', name)).toSorted()).toEqual(rightsOf(rules).toSorted());
  });

  test('reaches the pod by the Services of the original', () => {
    const mine = ours.flatMap(({ kind, metadata, spec }) => {
      const [port] = spec?.ports ?? [];
      if (kind !== 'Service' || !port) return [];
      return [`service ${metadata.name} ${port.port} → ${port.targetPort} ${port.protocol ?? 'TCP'} ${spec?.selector?.['control-plane']}`];
    });
    expect(
      compare(
        Object.entries(original.services).map(([name, what]) => `service ${name} ${what}`),
        mine,
      ),
    ).toEqual([]);
  });

  test('runs the containers of the original, with their ports, probes, mounts and rights', () => {
    const theirs = Object.entries(original.containers).flatMap(([name, { ports, probes, mounts, security }]) => [
      `container ${name}`,
      // The manager does it.
      ...ports.map((port) => `port ${port} of ${name === 'siderolink' ? 'manager' : name}`),
      ...probes.map((probe) => `probe of ${name}: ${probe}`),
      ...mounts.map((mount) => `mount ${mount}`),
      ...security.map((rule) => `security of ${name === 'siderolink' ? 'manager' : name}: ${rule}`),
    ]);
    const mine = deployment().template!.spec.containers.flatMap((container) => factsOf(container));
    expect(compare(theirs, mine)).toEqual([]);
  });

  test('has the pod of the original', () => {
    const { strategy, template } = deployment();
    const { hostNetwork, terminationGracePeriodSeconds, volumes } = template!.spec;
    const { volumes: theirs, ...rest } = original.pod;
    expect({ strategy: strategy!.type, hostNetwork, terminationGracePeriodSeconds: String(terminationGracePeriodSeconds) }).toEqual(rest);
    const mine = volumes.map(({ name, secret, hostPath }) => {
      if (secret) return `volume ${name} secret ${secret.secretName}`;
      return hostPath ? `volume ${name} hostPath ${hostPath.path} ${hostPath.type}` : `volume ${name}`;
    });
    expect(
      compare(
        theirs.map((volume) => `volume ${volume}`),
        mine,
      ),
    ).toEqual([]);
  });

  test('validates what the original validates, under the same names', () => {
    const mine = ours
      .flatMap(({ webhooks = [] }) => webhooks)
      .map(({ name, clientConfig, rules: [rule], failurePolicy, sideEffects }) => {
        const { apiGroups, resources, operations } = rule;
        return [name, `${clientConfig.service.name} ${apiGroups[0]}/${resources[0]} ${failurePolicy} ${sideEffects} ${operations.join(' ')}`];
      });
    expect(Object.fromEntries(mine)).toEqual(original.validations);
  });

  test('has a certificate for every Service that the API server calls, and has it injected', () => {
    const { dnsNames } = named('Certificate', 'sidero-serving-cert').spec!;
    const called = ours.flatMap(({ spec, webhooks = [] }) => [
      ...(spec?.conversion ? [spec.conversion.webhook.clientConfig.service.name] : []),
      ...webhooks.map(({ clientConfig }) => clientConfig.service.name),
    ]);
    for (const name of new Set(called)) expect(dnsNames).toEqual(expect.arrayContaining([`${name}.${NAMES[0]}.svc`]));
    const callers = ours.filter(({ kind }) => /Definition$|WebhookConfiguration$/.test(kind));
    for (const { metadata } of callers) expect(metadata.annotations?.['cert-manager.io/inject-ca-from']).toBe(`${NAMES[0]}/sidero-serving-cert`);
  });

  test('lets people set what the original lets them set', () => {
    const mine = [...new Set([...text.matchAll(/\$\{(\w+):=/g)].map(([, name]) => `variable ${name}`))];
    expect(
      compare(
        Object.keys(original.variables).map((name) => `variable ${name}`),
        mine,
      ),
    ).toEqual([]);
  });

  test.each(Object.entries(original.variables))('%s holds %s when nobody sets it', (name, wanted) => {
    const written = [...text.matchAll(new RegExp(`\\$\\{${name}:=([^}]*)\\}`, 'g'))].map(([, value]) => value!);
    const setting = [inspection.site, ...inspection.plugins].find(({ settings }) => Object.values(settings).includes(name));
    const key = Object.entries(setting?.settings ?? {}).find(([, variable]) => variable === name)?.[0];
    const holds = key === undefined ? undefined : setting?.options.properties?.[key]?.default;
    // A dash is unset: then the option's own default holds.
    for (const value of new Set(written)) expect(value === '-' ? empty(holds) : value).toEqual(value === '-' ? empty(wanted) : String(wanted));
    expect(written.length).toBeGreaterThan(0);
  });

  test('tells clusterctl its release series, and the next one', async () => {
    const { releaseSeries } = load(await readFile(join(release, 'metadata.yaml'), 'utf8')) as {
      releaseSeries: { major: number; minor: number; contract: string }[];
    };
    const mine = releaseSeries.map(({ major, minor, contract }) => `series ${major}.${minor} ${contract}`);
    expect(
      compare(
        original.series.map((one) => `series ${one}`),
        mine,
      ),
    ).toEqual([]);
  });

  test('has no release that clusterctl would not find', { timeout: 60_000 }, async () => {
    const config = join(folder, 'sidero.config.yaml');
    const refused = promisify(execFile)(process.execPath, [...SIDERO, '--config', config, 'manifests', '--bundle', folder, '--release', '1.0']);
    await expect(refused).rejects.toThrow('SIDERO_RELEASE_INVALID');
  });

  test('makes clusters from the template of the original', async () => {
    const template = await readFile(join(release, 'cluster-template.yaml'), 'utf8');
    const used = [...new Set([...template.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => `template variable ${name}`))].toSorted();
    expect(
      compare(
        original.template.variables.map((name) => `template variable ${name}`),
        used,
      ),
    ).toEqual([]);
    const made = (loadAll(template) as Installed[]).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(made.toSorted()).toEqual(original.template.objects.toSorted());
  });

  test('differs in all that is listed as different', () => {
    expect(original.differences.filter(([facts]) => !met.has(facts))).toEqual([]);
  });
});

function empty(value: unknown): unknown {
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}

function factsOf({ name, ports = [], livenessProbe, readinessProbe, volumeMounts = [], securityContext = {} }: Container): readonly string[] {
  const { allowPrivilegeEscalation, privileged, runAsUser, runAsGroup, capabilities: { drop = [], add = [] } = {} } = securityContext;
  const security = [
    ...(allowPrivilegeEscalation === false ? ['no escalation'] : []),
    ...drop.map((capability) => `drop ${capability}`),
    ...add.map((capability) => `add ${capability}`),
    ...(privileged === false ? ['not privileged'] : []),
    ...(runAsUser === undefined ? [] : [`user ${runAsUser}`]),
    ...(runAsGroup === undefined ? [] : [`group ${runAsGroup}`]),
  ];
  return [
    `container ${name}`,
    ...ports.map((port) => `port ${port.name} ${port.containerPort}/${port.protocol} of ${name}`),
    ...(livenessProbe ? [`probe of ${name}: live ${livenessProbe.httpGet.path} at ${livenessProbe.httpGet.port}`] : []),
    ...(readinessProbe ? [`probe of ${name}: ready ${readinessProbe.httpGet.path} at ${readinessProbe.httpGet.port}`] : []),
    ...volumeMounts.map((mount) => `mount ${mount.name} at ${mount.mountPath}${mount.readOnly ? ' read-only' : ''}`),
    ...security.map((rule) => `security of ${name}: ${rule}`),
  ];
}
