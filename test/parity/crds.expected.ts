// The API of the original, v0.6.13, written down by hand and apart from the manifests, which are compared with it.
//
// A schema is a text or an object of members. `!` behind a member's name: required. `[]` behind a type: a list of it.
// Types that are not in `types` are shapes.

/** Attributes of the leaves. */
export const types: Readonly<Record<string, string>> = {
  any: 'x-kubernetes-preserve-unknown-fields=true',
  boolean: 'type=boolean',
  labels: 'type=object additionalProperties=string',
  string: 'type=string',
  addressType: 'type=string enum=[Hostname,ExternalIP,InternalIP,ExternalDNS,InternalDNS]',
  int: 'type=integer',
  nothing: 'type=object',
  time: 'type=string format=date-time',
  u32: 'type=integer format=int32',
  u64: 'type=integer format=int64',
};

export type Shape = string | { readonly [member: string]: Shape };

const strings = (names: string) => Object.fromEntries(names.split(' ').map((name) => [name, 'string']));
const u32s = (names: string) => Object.fromEntries(names.split(' ').map((name) => [name, 'u32']));

const system = strings('manufacturer productName version serialNumber skuNumber family');

export const shapes: Readonly<Record<string, Shape>> = {
  ApiEndpoint: { 'host!': 'string maxLength=512', 'port!': 'u32' },
  Condition: {
    'type!': 'string minLength=1 maxLength=256',
    'status!': 'string',
    'lastTransitionTime!': 'time',
    severity: 'string maxLength=32',
    reason: 'string minLength=1 maxLength=256',
    message: 'string minLength=1 maxLength=10240',
  },
  // Ours; see docs/crd-additions.md.
  V1beta2Condition: {
    'type!': 'string',
    'status!': 'string',
    'reason!': 'string',
    'message!': 'string',
    'lastTransitionTime!': 'time',
  },
  ConfigPatch: { 'op!': 'string', 'path!': 'string', value: 'any' },
  Cpu: { manufacturer: 'string', version: 'string' },
  CredentialSource: { secretKeyRef: { 'namespace!': 'string', 'name!': 'string', 'key!': 'string' } },
  Device: { ...strings('type productName serialNumber name deviceName uuid wwid'), size: 'u64' },
  EnvironmentCondition: { 'status!': 'string', 'type!': 'string', url: 'string', sha512: 'string' },
  HardwareInformation: {
    system: { uuid: 'string', ...system },
    compute: { totalCoreCount: 'u32', totalThreadCount: 'u32', processorCount: 'u32', processors: 'Processor[]' },
    memory: { totalSize: 'string', moduleCount: 'u32', modules: 'MemoryModule[]' },
    storage: { totalSize: 'string', deviceCount: 'u32', devices: 'Device[]' },
    network: { interfaceCount: 'u32', interfaces: 'NetworkInterface[]' },
  },
  LabelSelector: { '': 'x-kubernetes-map-type=atomic', matchExpressions: 'LabelSelectorTerm[] x-kubernetes-list-type=atomic', matchLabels: 'labels' },
  LabelSelectorTerm: { 'key!': 'string', 'operator!': 'string', values: 'string[] x-kubernetes-list-type=atomic' },
  MachineAddress: { 'address!': 'string minLength=1 maxLength=256', 'type!': 'addressType' },
  MemoryModule: { ...strings('manufacturer productName serialNumber type'), ...u32s('size speed') },
  NetworkInterface: { ...strings('name flags mac'), ...u32s('index mtu'), addresses: 'string[]' },
  OldApiEndpoint: { 'host!': 'string', 'port!': 'int' },
  NodeAddress: { 'address!': 'string', 'type!': 'string' },
  ObjectReference: { '': 'x-kubernetes-map-type=atomic', ...strings('apiVersion fieldPath kind name namespace resourceVersion uid') },
  Processor: { ...strings('manufacturer productName serialNumber'), ...u32s('speed coreCount threadCount') },
  System: system,
};

const bmc = { ...strings('endpoint! user pass interface'), port: 'u32', userFrom: 'CredentialSource', passFrom: 'CredentialSource' };

const server = {
  environmentRef: 'ObjectReference',
  hostname: 'string',
  bmc,
  managementApi: { 'endpoint!': 'string' },
  configPatches: 'ConfigPatch[]',
  'accepted!': 'boolean',
  cordoned: 'boolean',
  pxeBootAlways: 'boolean',
  bootFromDiskMethod: 'string',
  pxeMode: 'string',
};
const serverStatus = {
  ready: 'boolean',
  inUse: 'boolean',
  isClean: 'boolean',
  conditions: 'Condition[]',
  addresses: 'NodeAddress[]',
  power: 'string',
};

const serverClass = { environmentRef: 'ObjectReference', selector: 'LabelSelector', configPatches: 'ConfigPatch[]', bootFromDiskMethod: 'string' };
const serverClassStatus = { 'serversAvailable!': 'string[]', 'serversInUse!': 'string[]' };

const environment = {
  spec: { kernel: { url: 'string', sha512: 'string', args: 'string[]' }, initrd: { url: 'string', sha512: 'string' } },
  status: { conditions: 'EnvironmentCondition[]' },
};

const oldMetalMachine = { providerID: 'string', serverRef: 'ObjectReference' };
const metalMachine = { ...oldMetalMachine, serverClassRef: 'ObjectReference' };

export interface ExpectedKind {
  readonly group: 'metal.sidero.dev' | 'infrastructure.cluster.x-k8s.io';
  readonly plural: string;
  readonly storage: string;
  /** Default: cluster-scoped. */
  readonly namespaced?: true;
  readonly categories?: readonly string[];
  /** Default: the status is a subresource. */
  readonly statusSubresource?: false;
  /** `header|type|JSONPath`, with `|1` behind it when only `-o wide` shows it; in all versions without `noColumns`. Default: none. */
  readonly columns?: readonly string[];
  readonly versions: Readonly<Record<string, { readonly spec: Shape; readonly status: Shape; readonly noColumns?: true }>>;
}

const AGE = 'Age|date|.metadata.creationTimestamp';

/** All versions are served. */
export const kinds: Readonly<Record<string, ExpectedKind>> = {
  Server: {
    group: 'metal.sidero.dev',
    plural: 'servers',
    storage: 'v1alpha2',
    columns: [
      'Hostname|string|.spec.hostname',
      'BMC IP|string|.spec.bmc.endpoint|1',
      'Accepted|boolean|.spec.accepted',
      'Cordoned|boolean|.spec.cordoned',
      'Allocated|boolean|.status.inUse',
      'Clean|boolean|.status.isClean',
      'Power|string|.status.power',
      AGE,
    ],
    versions: {
      v1alpha1: { spec: { ...server, system: 'System', cpu: 'Cpu' }, status: serverStatus },
      v1alpha2: { spec: { ...server, hardware: 'HardwareInformation', strategicPatches: 'string[]' }, status: serverStatus },
    },
  },
  ServerClass: {
    group: 'metal.sidero.dev',
    plural: 'serverclasses',
    storage: 'v1alpha2',
    columns: ['Available|string|.status.serversAvailable', 'In Use|string|.status.serversInUse', AGE],
    versions: {
      v1alpha1: {
        spec: { ...serverClass, qualifiers: { cpu: 'Cpu[]', systemInformation: 'System[]', labelSelectors: 'labels[]' } },
        status: serverClassStatus,
      },
      v1alpha2: {
        spec: { ...serverClass, qualifiers: { hardware: 'HardwareInformation[]', labelSelectors: 'labels[]' }, strategicPatches: 'string[]' },
        status: serverClassStatus,
      },
    },
  },
  Environment: {
    group: 'metal.sidero.dev',
    plural: 'environments',
    storage: 'v1alpha2',
    columns: ['Kernel|string|.spec.kernel.url', 'Initrd|string|.spec.initrd.url', 'Ready|string|.status.conditions[?(@.type=="Ready")].status', AGE],
    versions: { v1alpha1: environment, v1alpha2: environment },
  },
  ServerBinding: {
    group: 'infrastructure.cluster.x-k8s.io',
    plural: 'serverbindings',
    storage: 'v1alpha3',
    columns: [
      'Ready|string|.status.ready',
      'Server|string|.metadata.name|1',
      'ServerClass|string|.spec.serverClassRef.name|1',
      'MetalMachine|string|.spec.metalMachineRef.name|1',
      'Cluster|string|.metadata.labels.cluster\\.x-k8s\\.io/cluster-name|1',
      AGE,
    ],
    versions: {
      v1alpha3: {
        spec: {
          'metalMachineRef!': 'ObjectReference',
          serverClassRef: 'ObjectReference',
          siderolink: { 'address!': 'string', 'publicKey!': 'string' },
          addresses: 'string[]',
          hostname: 'string',
        },
        status: { ready: 'boolean', conditions: 'Condition[]' },
      },
    },
  },
  MetalCluster: {
    group: 'infrastructure.cluster.x-k8s.io',
    plural: 'metalclusters',
    storage: 'v1alpha3',
    namespaced: true,
    categories: ['cluster-api'],
    columns: [
      'Cluster|string|.metadata.labels.cluster\\.x-k8s\\.io/cluster-name',
      'Ready|boolean|.status.ready',
      'Endpoint|string|.spec.controlPlaneEndpoint.host|1',
      AGE,
    ],
    versions: {
      v1alpha2: {
        noColumns: true,
        spec: { apiEndpoints: 'OldApiEndpoint[]' },
        status: { 'ready!': 'boolean', apiEndpoints: 'OldApiEndpoint[]' },
      },
      v1alpha3: { spec: { controlPlaneEndpoint: 'ApiEndpoint' }, status: { 'ready!': 'boolean' } },
    },
  },
  MetalMachine: {
    group: 'infrastructure.cluster.x-k8s.io',
    plural: 'metalmachines',
    storage: 'v1alpha3',
    namespaced: true,
    categories: ['cluster-api'],
    columns: [
      'Ready|string|.status.ready',
      'Cluster|string|.metadata.labels.cluster\\.x-k8s\\.io/cluster-name|1',
      'Machine|string|.metadata.ownerReferences[?(@.kind=="Machine")].name|1',
      'Server|string|.spec.serverRef.name|1',
      AGE,
    ],
    versions: {
      v1alpha2: { noColumns: true, spec: oldMetalMachine, status: { 'ready!': 'boolean', ...strings('errorReason errorMessage') } },
      v1alpha3: {
        spec: metalMachine,
        status: { ready: 'boolean', addresses: 'MachineAddress[]', conditions: 'Condition[]', ...strings('failureReason failureMessage') },
      },
    },
  },
  MetalMachineTemplate: {
    group: 'infrastructure.cluster.x-k8s.io',
    plural: 'metalmachinetemplates',
    storage: 'v1alpha3',
    namespaced: true,
    categories: ['cluster-api'],
    statusSubresource: false,
    versions: {
      v1alpha2: { spec: { 'template!': { 'spec!': oldMetalMachine } }, status: 'nothing' },
      v1alpha3: { spec: { 'template!': { 'spec!': metalMachine } }, status: 'nothing' },
    },
  },
};

/** What is the same on all kinds of a group. */
export const groups = {
  'metal.sidero.dev': {
    webhookService: 'sidero-webhook-service',
    certificate: 'sidero-system/sidero-serving-cert',
    labels: { 'clusterctl.cluster.x-k8s.io/move': '' },
  },
  'infrastructure.cluster.x-k8s.io': { webhookService: 'caps-webhook-service', certificate: 'sidero-system/caps-serving-cert', labels: {} },
} as const;

/** The contract of Cluster API that came after the original; ours. */
export const addedLabels = { 'cluster.x-k8s.io/v1beta2': 'v1alpha3' };

export const commonLabels = {
  app: 'sidero',
  'cluster.x-k8s.io/provider': 'sidero',
  'cluster.x-k8s.io/v1alpha3': 'v1alpha3',
  'cluster.x-k8s.io/v1alpha4': 'v1alpha3',
  'cluster.x-k8s.io/v1beta1': 'v1alpha3',
};
