import { type Random, seededRandom } from './random.ts';

/** What a Talos configuration is made for. */
export interface TalosConfigOptions {
  readonly type: 'controlplane' | 'worker';
  readonly cluster: string;
  /** Host or IP at which the cluster's API will be. */
  readonly endpoint: string;
  /** The same seed makes the same secrets. */
  readonly seed: string;
  /** Authority of the Machine API, PEM. Default: bytes of its length, which are none. */
  readonly machineCa: { readonly cert: string; readonly key: string } | undefined;
}

/**
 * A Talos configuration as `talosctl gen config` writes one for version 1.13: its keys and its sizes (13 KB, a worker 4 KB), its comments left out. The secrets are
 * of the right form and length, and worth nothing.
 */
export function aTalosConfig(options: Partial<TalosConfigOptions> = {}): string {
  const { type = 'controlplane', cluster = 'rack-1', endpoint = '10.0.0.2', seed = 'talos', machineCa } = options;
  const random = seededRandom(seed);
  const isControlPlane = type === 'controlplane';
  return [
    'version: v1alpha1',
    'debug: false',
    'persist: true',
    ...machineSection(random, { type, endpoint, machineCa }),
    ...clusterSection(random, { type, cluster, endpoint }),
    ...(isControlPlane ? controlPlaneSection(random, endpoint) : []),
    '',
  ].join('\n');
}

type MachineOptions = Pick<TalosConfigOptions, 'type' | 'endpoint' | 'machineCa'>;

function machineSection(random: Random, { type, endpoint, machineCa }: MachineOptions): readonly string[] {
  const [certificate, key] = [base64(random, 780), type === 'controlplane' ? base64(random, 170) : '""'];
  const inBase64 = (text: string) => Buffer.from(text).toString('base64');
  return [
    'machine:',
    `    type: ${type}`,
    `    token: ${token(random)}`,
    '    ca:',
    `        crt: ${machineCa ? inBase64(machineCa.cert) : certificate}`,
    `        key: ${machineCa && type === 'controlplane' ? inBase64(machineCa.key) : key}`,
    `    certSANs: [${endpoint}]`,
    '    kubelet:',
    '        image: ghcr.io/siderolabs/kubelet:v1.35.4',
    '        defaultRuntimeSeccompProfileEnabled: true',
    '        disableManifestsDirectory: true',
    '        extraMounts:',
    '            - {destination: /var/lib/storage, type: bind, source: /var/lib/storage, options: [bind, rshared, rw]}',
    '    network:',
    '        interfaces:',
    '            - deviceSelector: {physical: true}',
    '              dhcp: true',
    '              vlans: [{vlanId: 100, dhcp: false, addresses: [172.20.0.5/24]}]',
    '        nameservers: [1.1.1.1, 8.8.8.8]',
    '    install:',
    '        disk: /dev/sda',
    '        image: factory.talos.dev/metal-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.13.0',
    '        wipe: false',
    '    registries: {}',
    '    sysctls: {net.core.somaxconn: "65535", net.core.netdev_max_backlog: "4096"}',
    '    features:',
    '        rbac: true',
    '        stableHostname: true',
    '        apidCheckExtKeyUsage: true',
    '        diskQuotaSupport: true',
    '        kubePrism: {enabled: true, port: 7445}',
    '        hostDNS: {enabled: true, forwardKubeDNSToHost: true}',
  ];
}

function clusterSection(random: Random, { type, cluster, endpoint }: Pick<TalosConfigOptions, 'type' | 'cluster' | 'endpoint'>): readonly string[] {
  return [
    'cluster:',
    `    id: ${base64(random, 32)}`,
    `    secret: ${base64(random, 32)}`,
    '    controlPlane:',
    `        endpoint: https://${endpoint}:6443`,
    `    clusterName: ${cluster}`,
    '    network:',
    '        dnsDomain: cluster.local',
    '        podSubnets: [10.244.0.0/16]',
    '        serviceSubnets: [10.96.0.0/12]',
    `    token: ${token(random)}`,
    ...(type === 'controlplane' ? [`    secretboxEncryptionSecret: ${base64(random, 32)}`] : []),
    '    ca:',
    `        crt: ${base64(random, 850)}`,
    // Workers sign nothing.
    `        key: ${type === 'controlplane' ? base64(random, 310) : '""'}`,
    '    discovery:',
    '        enabled: true',
    '        registries: {kubernetes: {disabled: true}, service: {}}',
  ];
}

function controlPlaneSection(random: Random, endpoint: string): readonly string[] {
  return [
    '    aggregatorCA:',
    `        crt: ${base64(random, 750)}`,
    `        key: ${base64(random, 310)}`,
    '    serviceAccount:',
    `        key: ${base64(random, 3240)}`,
    '    apiServer:',
    '        image: registry.k8s.io/kube-apiserver:v1.35.4',
    `        certSANs: [${endpoint}]`,
    '        disablePodSecurityPolicy: true',
    '        admissionControl:',
    '            - name: PodSecurity',
    '              configuration:',
    '                apiVersion: pod-security.admission.config.k8s.io/v1alpha1',
    '                kind: PodSecurityConfiguration',
    '                defaults: {audit: restricted, audit-version: latest, enforce: baseline, enforce-version: latest, warn: restricted}',
    '                exemptions: {namespaces: [kube-system], runtimeClasses: [], usernames: []}',
    '        auditPolicy:',
    '            apiVersion: audit.k8s.io/v1',
    '            kind: Policy',
    '            rules: [{level: Metadata}]',
    '    controllerManager:',
    '        image: registry.k8s.io/kube-controller-manager:v1.35.4',
    '    proxy:',
    '        image: registry.k8s.io/kube-proxy:v1.35.4',
    '    scheduler:',
    '        image: registry.k8s.io/kube-scheduler:v1.35.4',
    '    etcd:',
    '        ca:',
    `            crt: ${base64(random, 770)}`,
    `            key: ${base64(random, 310)}`,
    '    extraManifests: []',
    '    inlineManifests: []',
  ];
}

/** As kubeadm's bootstrap tokens are: 6 and 16 characters. */
function token(random: Random): string {
  return `${random.hex(6)}.${random.hex(16)}`;
}

function base64(random: Random, bytes: number): string {
  return Buffer.from(random.bytes(bytes)).toString('base64');
}
