import { createHash } from 'node:crypto';
import { load, loadAll } from 'js-yaml';
import { describe, expect, test } from 'vitest';
import { coreCustomResources } from '../resources/custom-resources.ts';
import type { BundlePart } from './bundle-part.ts';
import { bundleFiles, type BundleOptions } from './bundle-files.ts';

interface Written {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly [more: string]: unknown;
}

const REGISTER: BundlePart = {
  name: 'register',
  rules: [{ apiGroups: ['example.com'], resources: ['racks'], verbs: ['get'] }],
  ports: [{ name: 'register', protocol: 'TCP', port: 9000, service: { name: 'register', port: 80 } }],
  capabilities: ['NET_RAW'],
  devices: ['/dev/ttyS0'],
  followers: [{ name: 'racks', args: ['racks', '--follow'] }],
  sharedFolders: ['racks'],
  keptFolders: ['rack-history'],
  files: { 'cluster-template-racks.yaml': 'kind: Cluster\n' },
};

function files(given: Partial<BundleOptions> = {}): Readonly<Record<string, string>> {
  return bundleFiles({
    release: 'v0.7.0',
    image: 'registry.example.com/sidero:v0.7.0',
    kinds: coreCustomResources(),
    parts: [REGISTER],
    variables: ['SIDERO_CONTROLLER_MANAGER_API_PORT', 'SIDERO_BOOT_AUTH'],
    ports: { told: 8081, bound: 8081 },
    ...given,
  });
}

function written(given?: Partial<BundleOptions>): readonly Written[] {
  return loadAll(files(given)['infrastructure-components.yaml']!) as Written[];
}

describe('the bundle of a plugin that nobody here knows', () => {
  const find = (kind: string, name: string) => written().find((one) => one.kind === kind && one.metadata.name === name);

  test('grants what it says, to the account of the manager', () => {
    expect(find('ClusterRole', 'register-manager-role')).toMatchObject({ rules: REGISTER.rules });
    expect(find('ClusterRoleBinding', 'register-manager-rolebinding')).toMatchObject({
      roleRef: { kind: 'ClusterRole', name: 'register-manager-role' },
      subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: 'sidero-system' }],
    });
  });

  test('leads a Service to its port', () => {
    expect(find('Service', 'register')).toMatchObject({ spec: { ports: [{ port: 80, protocol: 'TCP', targetPort: 'register' }] } });
  });

  test('gives the manager its device and capability, and its follower a folder and nothing else', () => {
    const { spec } = find('Deployment', 'sidero-controller-manager') as unknown as { spec: { template: { spec: Pod } } };
    const [manager, follower] = spec.template.spec.containers;
    expect(manager?.securityContext.capabilities).toEqual({ drop: ['ALL'], add: ['NET_BIND_SERVICE', 'NET_RAW'] });
    expect(manager?.volumeMounts.map(({ mountPath }) => mountPath)).toEqual(
      expect.arrayContaining(['/dev/ttyS0', '/var/lib/sidero/racks', '/var/lib/sidero/rack-history']),
    );
    expect(follower).toMatchObject({ name: 'racks', command: ['sidero', 'racks', '--follow'] });
    expect(follower?.volumeMounts.map(({ mountPath }) => mountPath)).toEqual(['/var/lib/sidero/racks', '/sidero/config']);
    expect(spec.template.spec.volumes.map(({ name }) => name)).toEqual(['cert', 'dev-ttys0', 'racks', 'rack-history', 'config']);
  });

  test('keeps a folder over restarts of the container, which only the manager sees', () => {
    const { spec } = find('Deployment', 'sidero-controller-manager') as unknown as { spec: { template: { spec: Pod } } };
    expect(spec.template.spec.volumes).toContainEqual({ name: 'rack-history', emptyDir: {} });
    const [, follower] = spec.template.spec.containers;
    expect(follower?.volumeMounts.map(({ mountPath }) => mountPath)).not.toContain('/var/lib/sidero/rack-history');
  });

  test('has its files, with their checksums', () => {
    const all = files();
    expect(all['cluster-template-racks.yaml']).toBe('kind: Cluster\n');
    const sum = createHash('sha256').update(all['infrastructure-components.yaml']!).digest('hex');
    expect(all['sha256sum.txt']).toContain(`${sum}  infrastructure-components.yaml\n`);
  });
});

interface Pod {
  readonly containers: readonly {
    readonly name: string;
    readonly env: readonly { readonly name: string; readonly value?: string }[];
    readonly volumeMounts: readonly { readonly mountPath: string }[];
    readonly securityContext: { readonly capabilities: object };
  }[];
  readonly volumes: readonly { readonly name: string }[];
}

describe('placeholders', () => {
  test('are quoted where they become a text, and bare where they become a number or a boolean', () => {
    const text = files({ ports: { told: 8080, bound: 9090 } })['infrastructure-components.yaml']!;
    expect(text).toContain('value: "${SIDERO_BOOT_AUTH:=-}"\n');
    expect(text).toContain('hostNetwork: ${SIDERO_CONTROLLER_MANAGER_HOST_NETWORK:=false}\n');
    expect(text).toContain('containerPort: ${SIDERO_CONTROLLER_MANAGER_CONTAINER_API_PORT:=9090}\n');
    expect(text).toContain('port: ${SIDERO_CONTROLLER_MANAGER_API_PORT:=8080}\n');
  });
});

describe('metadata.yaml', () => {
  test.each([
    ['v0.7.3', 7],
    ['v1.2.0', 8],
  ])('of release %s has a series for it', (release, count) => {
    const { releaseSeries } = load(files({ release })['metadata.yaml']!) as {
      releaseSeries: readonly { major: number; minor: number; contract: string }[];
    };
    const [major, minor] = release.slice(1).split('.').map(Number);
    expect(releaseSeries.length).toBe(count);
    expect(releaseSeries).toContainEqual({ major, minor, contract: 'v1beta1' });
  });
});
