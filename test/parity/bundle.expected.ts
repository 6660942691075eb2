// The install bundle of the original, v0.6.13, written down by hand, as facts that ours are compared with one by one.

/** On every object, in selectors and on pods. */
export const labels: Readonly<Record<string, string>> = {
  app: 'sidero',
  'cluster.x-k8s.io/provider': 'sidero',
  'cluster.x-k8s.io/v1alpha3': 'v1alpha3',
  'cluster.x-k8s.io/v1alpha4': 'v1alpha3',
  'cluster.x-k8s.io/v1beta1': 'v1alpha3',
};

/** In the order of the file. */
export const objects: Readonly<Record<string, readonly string[]>> = {
  Namespace: ['sidero-system'],
  CustomResourceDefinition: [
    'environments.metal.sidero.dev',
    'metalclusters.infrastructure.cluster.x-k8s.io',
    'metalmachines.infrastructure.cluster.x-k8s.io',
    'metalmachinetemplates.infrastructure.cluster.x-k8s.io',
    'serverbindings.infrastructure.cluster.x-k8s.io',
    'serverclasses.metal.sidero.dev',
    'servers.metal.sidero.dev',
  ],
  Role: ['caps-leader-election-role', 'sidero-leader-election-role'],
  ClusterRole: [
    'caps-manager-role',
    'caps-proxy-role',
    'sidero-environment-editor-role',
    'sidero-proxy-role',
    'sidero-server-editor-role',
    'sidero-serverclass-editor-role',
  ],
  RoleBinding: ['caps-leader-election-rolebinding', 'sidero-leader-election-rolebinding'],
  ClusterRoleBinding: [
    'caps-manager-rolebinding',
    'caps-metalcluster-editor-role-rolebinding',
    'caps-metalmachine-editor-rolebinding',
    'caps-proxy-rolebinding',
    'sidero-manager-environment-editor-rolebinding',
    'sidero-manager-server-editor-rolebinding',
    'sidero-manager-serverclass-editor-rolebinding',
    'sidero-proxy-rolebinding',
  ],
  Service: [
    'caps-controller-manager-metrics-service',
    'caps-webhook-service',
    'sidero-controller-manager-metrics-service',
    'sidero-dhcp',
    'sidero-http',
    'sidero-siderolink',
    'sidero-tftp',
    'sidero-webhook-service',
  ],
  Deployment: ['caps-controller-manager', 'sidero-controller-manager'],
  Certificate: ['caps-serving-cert', 'sidero-serving-cert'],
  Issuer: ['caps-selfsigned-issuer', 'sidero-selfsigned-issuer'],
  ValidatingWebhookConfiguration: ['caps-validating-webhook-configuration', 'sidero-validating-webhook-configuration'],
};

/** The roles that bindings lead to; what was bound once cannot be bound to another role under the same name. */
export const roleRefs: Readonly<Record<string, string>> = {
  'caps-leader-election-rolebinding': 'caps-leader-election-role',
  'sidero-leader-election-rolebinding': 'sidero-leader-election-role',
  'caps-manager-rolebinding': 'caps-manager-role',
  'caps-metalcluster-editor-role-rolebinding': 'caps-manager-role',
  'caps-metalmachine-editor-rolebinding': 'caps-manager-role',
  'caps-proxy-rolebinding': 'caps-proxy-role',
  'sidero-manager-environment-editor-rolebinding': 'sidero-environment-editor-role',
  'sidero-manager-server-editor-rolebinding': 'sidero-server-editor-role',
  'sidero-manager-serverclass-editor-rolebinding': 'sidero-serverclass-editor-role',
  'sidero-proxy-rolebinding': 'sidero-proxy-role',
};

const CRUD = 'create delete get list patch update watch';
const READ = 'get list watch';

/** What both Deployments may do, by all their bindings: group, resources, verbs. */
export const rights: readonly (readonly [group: string, resources: string, verbs: string])[] = [
  ['', 'events', 'create patch'],
  ['', 'secrets', CRUD],
  ['', 'configmaps', CRUD],
  ['', 'configmaps/status', 'get patch update'],
  ['coordination.k8s.io', 'leases', CRUD],
  ['cluster.x-k8s.io', 'clusters clusters/status machines machines/status', READ],
  ['infrastructure.cluster.x-k8s.io', 'metalclusters metalmachines serverbindings', CRUD],
  ['infrastructure.cluster.x-k8s.io', 'metalclusters/status serverbindings/status', 'get patch update'],
  ['infrastructure.cluster.x-k8s.io', 'metalmachines/status', 'get list patch update watch'],
  ['metal.sidero.dev', 'environments servers serverclasses serverclasses/status', CRUD],
  ['metal.sidero.dev', 'environments/status', 'get patch update'],
  ['metal.sidero.dev', 'servers/status', 'get list patch update watch'],
  ['authentication.k8s.io', 'tokenreviews', 'create'],
  ['authorization.k8s.io', 'subjectaccessreviews', 'create'],
];

/** For whoever is bound to them. */
export const editors: Readonly<Record<string, readonly (readonly [group: string, resources: string, verbs: string])[]>> = {
  'sidero-environment-editor-role': [
    ['metal.sidero.dev', 'environments', CRUD],
    ['metal.sidero.dev', 'environments/status', 'get patch update'],
  ],
  'sidero-server-editor-role': [
    ['metal.sidero.dev', 'servers', CRUD],
    ['metal.sidero.dev', 'servers/status', 'get patch update'],
  ],
  'sidero-serverclass-editor-role': [['metal.sidero.dev', 'serverclasses serverclasses/status', CRUD]],
};

/** `port → target` and protocol, and the Deployment behind. */
export const services: Readonly<Record<string, string>> = {
  'sidero-dhcp': '67 → dhcp UDP sidero-controller-manager',
  'sidero-tftp': '69 → tftp UDP sidero-controller-manager',
  'sidero-siderolink': '${SIDERO_CONTROLLER_MANAGER_SIDEROLINK_PORT:=51821} → siderolink UDP sidero-controller-manager',
  'sidero-http': '${SIDERO_CONTROLLER_MANAGER_API_PORT:=8081} → http TCP sidero-controller-manager',
  'sidero-webhook-service': '443 → 9443 TCP sidero-controller-manager',
  'caps-webhook-service': '443 → 9443 TCP caps-controller-manager',
  'sidero-controller-manager-metrics-service': '8443 → https TCP sidero-controller-manager',
  'caps-controller-manager-metrics-service': '8443 → https TCP caps-controller-manager',
};

/** Of Deployment `sidero-controller-manager`. */
export const pod = {
  strategy: '${SIDERO_CONTROLLER_MANAGER_DEPLOYMENT_STRATEGY:=RollingUpdate}',
  hostNetwork: '${SIDERO_CONTROLLER_MANAGER_HOST_NETWORK:=false}',
  terminationGracePeriodSeconds: '10',
  volumes: ['cert secret sidero-webhook-service-cert', 'dev-tun hostPath /dev/net/tun CharDevice'],
};

export interface ExpectedContainer {
  /** `name port/protocol`. */
  readonly ports: readonly string[];
  readonly probes: readonly string[];
  readonly mounts: readonly string[];
  readonly security: readonly string[];
}

const NOBODY = ['no escalation', 'drop ALL', 'not privileged', 'user 65532', 'group 65532'];

export const containers: Readonly<Record<string, ExpectedContainer>> = {
  manager: {
    ports: [
      'webhook-server 9443/TCP',
      'dhcp 67/UDP',
      'tftp 69/UDP',
      'http ${SIDERO_CONTROLLER_MANAGER_CONTAINER_API_PORT:=8081}/TCP',
      'healthz 9440/TCP',
      'metrics 8443/TCP',
    ],
    probes: ['live /healthz at healthz', 'ready /readyz at healthz'],
    mounts: ['cert at /tmp/k8s-webhook-server/serving-certs read-only'],
    security: [],
  },
  siderolink: {
    ports: ['siderolink ${SIDERO_CONTROLLER_MANAGER_SIDEROLINK_PORT:=51821}/UDP'],
    probes: [],
    mounts: ['dev-tun at /dev/net/tun'],
    security: ['drop ALL', 'add NET_ADMIN'],
  },
  serverlogs: { ports: [], probes: [], mounts: [], security: NOBODY },
  serverevents: { ports: [], probes: [], mounts: [], security: NOBODY },
};

/** By name of the webhook: its Service, and what it looks at. */
export const validations: Readonly<Record<string, string>> = {
  'vservers.metal.sidero.dev': 'sidero-webhook-service metal.sidero.dev/servers Fail None CREATE UPDATE DELETE',
  'vmetalmachinetemplates.infrastructure.cluster.x-k8s.io':
    'caps-webhook-service infrastructure.cluster.x-k8s.io/metalmachinetemplates Fail None CREATE UPDATE DELETE',
};

/** What people may set when they install, and what holds when they do not. Options of ours that hold the same are given as they stand in schemas. */
export const variables: Readonly<Record<string, string | number | boolean | undefined>> = {
  CAPI_DIAGNOSTICS_ADDRESS: ':8443',
  CAPI_INSECURE_DIAGNOSTICS: false,
  SIDERO_CONTROLLER_MANAGER_HOST_NETWORK: 'false',
  SIDERO_CONTROLLER_MANAGER_DEPLOYMENT_STRATEGY: 'RollingUpdate',
  // "-", and then the address of the node.
  SIDERO_CONTROLLER_MANAGER_API_ENDPOINT: undefined,
  SIDERO_CONTROLLER_MANAGER_API_PORT: 8081,
  SIDERO_CONTROLLER_MANAGER_CONTAINER_API_PORT: '8081',
  // "-", and then that of the API.
  SIDERO_CONTROLLER_MANAGER_SIDEROLINK_ENDPOINT: undefined,
  SIDERO_CONTROLLER_MANAGER_SIDEROLINK_PORT: 51_821,
  SIDERO_CONTROLLER_MANAGER_EXTRA_AGENT_KERNEL_ARGS: '',
  SIDERO_CONTROLLER_MANAGER_BOOT_FROM_DISK_METHOD: 'ipxe-exit',
  SIDERO_CONTROLLER_MANAGER_AUTO_ACCEPT_SERVERS: false,
  SIDERO_CONTROLLER_MANAGER_INSECURE_WIPE: true,
  SIDERO_CONTROLLER_MANAGER_AUTO_BMC_SETUP: true,
  SIDERO_CONTROLLER_MANAGER_SERVER_REBOOT_TIMEOUT: 20 * 60_000,
  SIDERO_CONTROLLER_MANAGER_IPMI_PXE_METHOD: 'uefi',
  SIDERO_CONTROLLER_MANAGER_DISABLE_DHCP_PROXY: false,
  SIDERO_CONTROLLER_MANAGER_EVENTS_NEGATIVE_ADDRESS_FILTER: undefined,
  SIDERO_CONTROLLER_MANAGER_TEST_POWER_EXPLICIT_FAILURE: 0,
  SIDERO_CONTROLLER_MANAGER_TEST_POWER_SILENT_FAILURE: 0,
};

/** Release series and their contracts. */
export const series = ['0.1 v1alpha3', '0.2 v1alpha3', '0.3 v1alpha3', '0.4 v1alpha4', '0.5 v1beta1', '0.6 v1beta1'];

/** Variables of the template, and its objects. */
export const template = {
  variables: [
    'CLUSTER_NAME',
    'CONTROL_PLANE_ENDPOINT',
    'CONTROL_PLANE_MACHINE_COUNT',
    'CONTROL_PLANE_PORT',
    'CONTROL_PLANE_SERVERCLASS',
    'KUBERNETES_VERSION',
    'TALOS_VERSION',
    'WORKER_MACHINE_COUNT',
    'WORKER_SERVERCLASS',
  ],
  objects: [
    'Cluster ${CLUSTER_NAME}',
    'MetalCluster ${CLUSTER_NAME}',
    'MetalMachineTemplate ${CLUSTER_NAME}-cp',
    'TalosControlPlane ${CLUSTER_NAME}-cp',
    'TalosConfigTemplate ${CLUSTER_NAME}-workers',
    'MachineDeployment ${CLUSTER_NAME}-workers',
    'MetalMachineTemplate ${CLUSTER_NAME}-workers',
  ],
};

/** Facts that only one of the two bundles has, and the words of docs/differences.md that give the reason. */
export const differences: readonly (readonly [facts: RegExp, documented: string])[] = [
  [
    /caps-controller-manager|^container siderolink|^port siderolink of siderolink|caps-(leader-election|proxy)|^(dev-tun|add NET_ADMIN) of|dev-tun at/,
    'One Deployment, `sidero-controller-manager`',
  ],
  [/^service caps-webhook-service/, 'One Deployment, `sidero-controller-manager`'],
  [/caps-serving-cert|caps-selfsigned-issuer/, 'One certificate for both webhook Services'],
  [
    /^object ClusterRoleBinding (caps-metal|sidero-manager-)|^object ClusterRole(Binding)? (sidero|siderolink)-manager-role|sidero-manager-rolebinding|siderolink-manager-rolebinding/,
    'The manager is bound to roles of its own',
  ],
  [/^may /, 'The manager is bound to roles of its own'],
  [/^service sidero-controller-manager-metrics-service/, 'has endpoints'],
  [/^(volume|mount) (config|stream|logs|events)\b/, 'ConfigMap `sidero-config`'],
  [/^security of manager: /, 'drops all capabilities'],
  [/^variable SIDERO_(?!CONTROLLER_MANAGER_)/, 'variables of our own'],
  [/^template variable NAMESPACE$/, 'in any namespace'],
  [/^series 0\.7 v1beta1$/, 'release series 0.7'],
];
