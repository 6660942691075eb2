import type { BundlePart } from './bundle-part.ts';
import { type BundleObject, LABELS, NAMESPACE, SELECTOR } from './labels.ts';
import { bare, DEPLOYMENT_STRATEGY, HOST_NETWORK, placeholder } from './placeholders.ts';
import { CERTIFICATE_SECRET } from './webhooks.ts';

/** What the pod is made of, beside what parts need. */
export interface DeploymentOptions {
  readonly parts: readonly BundlePart[];
  readonly image: string;
  /** Variables that whoever installs may set, with what holds when he does not; `-` is unset. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Where the image has what the original's has: iPXE builds, the agent, Environments. */
const DATA_DIR = '/var/lib/sidero';
/** The config of the image lies above it, and one of a ConfigMap in it: the nearest is read. */
const CONFIG_DIR = '/sidero/config';
const CERTIFICATE_DIR = '/tmp/k8s-webhook-server/serving-certs';
const OWN_PORTS = [
  { name: 'webhook-server', containerPort: 9443, protocol: 'TCP' },
  { name: 'healthz', containerPort: 9440, protocol: 'TCP' },
  { name: 'metrics', containerPort: 8443, protocol: 'TCP' },
];
/** User and group of containers that follow, as in the original. */
const FOLLOWER = 65_532;
const DATA_VARIABLE = { name: 'SIDERO_DATA_DIR', value: DATA_DIR };

/** Set by the Deployment to what its ports, mounts and probes say; nobody sets them when installing. */
export const FIXED_VARIABLES: readonly string[] = [
  'SIDERO_DATA_DIR',
  'SIDERO_NAMESPACE',
  'SIDERO_HEALTH_ADDRESS',
  'SIDERO_WEBHOOK_PORT',
  'SIDERO_WEBHOOK_CERT_DIR',
  'SIDERO_TFTP_PORT',
];

/** The Deployment `sidero-controller-manager`: one manager, and what follows it. */
export function deployment(options: DeploymentOptions): BundleObject {
  const { parts } = options;
  const followers = parts.flatMap((part) => part.followers ?? []);
  const mountOf = (folder: string) => ({ name: folder, mountPath: `${DATA_DIR}/${folder}` });
  const sharedMounts = parts.flatMap(({ sharedFolders = [] }) => sharedFolders.map(mountOf));
  const keptMounts = parts.flatMap(({ keptFolders = [] }) => keptFolders.map(mountOf));
  const config = { name: 'config', mountPath: CONFIG_DIR, readOnly: true };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'sidero-controller-manager', namespace: NAMESPACE, labels: SELECTOR },
    spec: {
      replicas: 1,
      selector: { matchLabels: SELECTOR },
      strategy: { type: DEPLOYMENT_STRATEGY },
      template: {
        metadata: { labels: { ...LABELS, ...SELECTOR } },
        spec: {
          containers: [
            managerContainer(options, [...sharedMounts, ...keptMounts, config]),
            ...followers.map((follower) => followerContainer(follower, { image: options.image, mounts: [...sharedMounts, config] })),
          ],
          hostNetwork: bare(HOST_NETWORK),
          // The folders that followers see belong to their group.
          securityContext: { fsGroup: FOLLOWER },
          terminationGracePeriodSeconds: 10,
          volumes: volumes(parts),
        },
      },
    },
  };
}

function managerContainer({ parts, image, variables }: DeploymentOptions, mounts: readonly object[]): object {
  const ports = parts.flatMap((part) => part.ports ?? []);
  const devices = devicesOf(parts);
  const probe = (path: string) => ({ httpGet: { path, port: 'healthz' } });
  return {
    name: 'manager',
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['sidero', 'start'],
    workingDir: CONFIG_DIR,
    env: [
      { name: 'API_ENDPOINT', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
      { name: 'SIDERO_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
      DATA_VARIABLE,
      { name: 'SIDERO_LOG_LEVEL', value: placeholder('SIDERO_LOG_LEVEL', 'info') },
      ...Object.entries(variables).map(([name, value]) => ({ name, value: placeholder(name, value) })),
    ],
    ports: [...ports.map(({ name, port, protocol }) => ({ name, containerPort: bare(port), protocol })), ...OWN_PORTS],
    livenessProbe: probe('/healthz'),
    readinessProbe: probe('/readyz'),
    resources: { requests: { cpu: '200m', memory: '384Mi' }, limits: { cpu: '2000m', memory: '1Gi' } },
    securityContext: {
      capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE', ...parts.flatMap(({ capabilities = [] }) => capabilities)].toSorted() },
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      { name: 'cert', mountPath: CERTIFICATE_DIR, readOnly: true },
      ...devices.map(({ name, path }) => ({ name, mountPath: path })),
      ...mounts,
    ],
  };
}

function followerContainer({ name, args }: { name: string; args: readonly string[] }, given: { image: string; mounts: readonly object[] }): object {
  return {
    name,
    image: given.image,
    imagePullPolicy: 'IfNotPresent',
    command: ['sidero', ...args],
    workingDir: CONFIG_DIR,
    env: [DATA_VARIABLE],
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { cpu: '256m', memory: '256Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      runAsUser: FOLLOWER,
      runAsGroup: FOLLOWER,
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: given.mounts,
  };
}

function volumes(parts: readonly BundlePart[]): readonly object[] {
  return [
    { name: 'cert', secret: { defaultMode: 420, secretName: CERTIFICATE_SECRET } },
    ...devicesOf(parts).map(({ name, path }) => ({ name, hostPath: { path, type: 'CharDevice' } })),
    ...parts.flatMap(({ sharedFolders = [], keptFolders = [] }) => [...sharedFolders, ...keptFolders]).map((name) => ({ name, emptyDir: {} })),
    { name: 'config', configMap: { name: 'sidero-config', optional: true } },
  ];
}

/** `/dev/net/tun` is the volume `dev-tun`, as in the original. */
function devicesOf(parts: readonly BundlePart[]): readonly { name: string; path: string }[] {
  return parts.flatMap(({ devices = [] }) => devices.map((path) => ({ name: `dev-${path.split('/').at(-1)?.toLowerCase()}`, path })));
}
