import * as fc from 'fast-check';

/** A configuration and a patch for it, as documents. */
export interface GeneratedMerge {
  readonly config: readonly object[];
  readonly patch: readonly object[];
}

const word = fc.constantFrom('alpha', 'beta', 'gamma', 'delta', 'on', '1.10', 'with space', 'x=y,z', '#no', "it's");
const cidr = fc.constantFrom('10.0.0.0/8', '10.244.0.0/16', '192.168.0.0/24', '2001:db8::/32');
const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '192.168.1.1', '2001:db8::1');
const addressInNet = fc.constantFrom('10.0.0.1/24', '10.0.0.2/24', '2001:db8::1/64');
const url = fc.constantFrom('https://one.example:6443', 'https://two.example', 'https://two.example/path');
const few = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 3 });
const distinct = <T>(one: fc.Arbitrary<T>) => fc.uniqueArray(one, { maxLength: 3 });
const map = (value: fc.Arbitrary<unknown> = word) => fc.dictionary(fc.constantFrom('a', 'b', 'c.d/e', 'on', 'node-labels'), value, { maxKeys: 3 });
/** Any of the fields, in any order that fast-check comes up with. */
const some = (fields: Record<string, fc.Arbitrary<unknown>>) => fc.record(fields, { requiredKeys: [] });

const route = fc.record({ network: cidr, gateway: address, metric: fc.integer({ min: 0, max: 5 }) }, { requiredKeys: ['network', 'gateway'] });
const vlan = fc.record(
  { vlanId: fc.integer({ min: 1, max: 3 }), dhcp: fc.boolean(), addresses: few(addressInNet), mtu: fc.constantFrom(0, 1400) },
  { requiredKeys: ['vlanId'] },
);
const interfaceFields = {
  addresses: few(addressInNet),
  routes: few(route),
  vlans: fc.uniqueArray(vlan, { maxLength: 2, selector: ({ vlanId }) => vlanId }),
  mtu: fc.constantFrom(0, 1500, 9000),
  dhcp: fc.boolean(),
  ignore: fc.boolean(),
  dhcpOptions: some({ routeMetric: fc.integer({ min: 0, max: 2 }), ipv4: fc.boolean() }),
};
const namedInterface = fc.record({ interface: fc.constantFrom('eth0', 'eth1'), ...interfaceFields }, { requiredKeys: ['interface'] });
const selectedInterface = fc.record(
  { deviceSelector: fc.record({ hardwareAddr: fc.constantFrom('00:11:*', '22:33:*') }), ...interfaceFields },
  { requiredKeys: ['deviceSelector'] },
);
const network = some({
  hostname: fc.constantFrom('', 'host-1', 'host-2'),
  nameservers: few(address),
  searchDomains: few(fc.constantFrom('a.example', 'b.example')),
  interfaces: fc.uniqueArray(fc.oneof(namedInterface, selectedInterface), {
    maxLength: 2,
    selector: (one) => JSON.stringify([Object.values(one)[0]]),
  }),
  extraHostEntries: few(fc.record({ ip: address, aliases: few(word) })),
  disableSearchDomain: fc.boolean(),
});
const kubelet = some({
  image: word,
  clusterDNS: few(address),
  extraArgs: map(),
  extraMounts: few(fc.record({ destination: word, type: word, source: word, options: few(word) })),
  extraConfig: map(fc.oneof(word, fc.boolean(), few(word))),
  nodeIP: some({ validSubnets: few(cidr) }),
  registerWithFQDN: fc.boolean(),
  disableManifestsDirectory: fc.boolean(),
});
const machine = fc.record(
  {
    type: fc.constantFrom('worker', 'controlplane'),
    token: fc.constantFrom('', 'token-1', 'token-2'),
    certSANs: few(word),
    kubelet,
    network,
    install: some({ disk: word, image: word, wipe: fc.boolean(), extraKernelArgs: few(word) }),
    files: few(fc.record({ content: word, permissions: fc.constantFrom(420, 384), path: word, op: fc.constantFrom('create', 'append') })),
    env: map(),
    sysctls: map(fc.oneof(word, fc.constant(''))),
    sysfs: map(),
    nodeLabels: map(),
    nodeTaints: map(),
    time: some({ disabled: fc.boolean(), servers: few(word), bootTimeout: fc.constantFrom('2m0s', '5m0s') }),
    registries: some({ mirrors: map(some({ endpoints: few(url), overridePath: fc.boolean() })) }),
    features: some({ rbac: fc.boolean(), kubePrism: some({ enabled: fc.boolean(), port: fc.constantFrom(0, 7445) }) }),
    udev: some({ rules: few(word) }),
    kernel: some({ modules: few(fc.record({ name: word, parameters: few(word) })) }),
    pods: few(fc.record({ kind: word, metadata: map() })),
  },
  { requiredKeys: [] },
);
const component = { image: word, extraArgs: map() };
const cluster = some({
  id: word,
  secret: word,
  clusterName: word,
  controlPlane: some({ endpoint: url, localAPIServerPort: fc.constantFrom(0, 6443) }),
  network: some({ dnsDomain: word, podSubnets: few(cidr), serviceSubnets: few(cidr), cni: some({ name: word, urls: few(url) }) }),
  apiServer: some({
    ...component,
    certSANs: few(word),
    disablePodSecurityPolicy: fc.boolean(),
    admissionControl: fc.uniqueArray(
      fc.record({ name: fc.constantFrom('PodSecurity', 'Other'), configuration: map(fc.oneof(fc.integer({ min: 0, max: 3 }), few(word), map())) }),
      { maxLength: 2, selector: ({ name }) => name },
    ),
    auditPolicy: fc.record({ kind: fc.constant('Policy'), rules: few(fc.record({ level: word })) }),
  }),
  controllerManager: some(component),
  scheduler: some(component),
  proxy: some({ ...component, disabled: fc.boolean(), mode: word }),
  etcd: some({ ...component, advertisedSubnets: few(cidr) }),
  discovery: some({ enabled: fc.boolean(), registries: some({ service: some({ disabled: fc.boolean(), endpoint: url }) }) }),
  extraManifests: few(url),
  inlineManifests: few(fc.record({ name: word, contents: word })),
  allowSchedulingOnControlPlanes: fc.boolean(),
});

const v1 = <T>(kind: string, fields: fc.Arbitrary<T>) => fields.map((given) => ({ apiVersion: 'v1alpha1', kind, ...given }));
const sink = fc.constantFrom('10.0.0.1:4002', '[fdae::1]:4002');
const logUrl = fc.constantFrom('tcp://10.0.0.1:4001', 'udp://10.0.0.2:514', 'tcp://[fdae::1]:4001/?a=b');
const sideroLink = fc.constantFrom('grpc://172.25.0.2:8081', 'https://omni.example?jointoken=x', 'grpc://10.0.0.1:80?jointoken=y&a=b');
const port = fc.constantFrom(80, 443, '6000-6010');
const otherDocuments = [
  v1('SideroLinkConfig', some({ apiUrl: sideroLink })),
  v1('EventSinkConfig', some({ endpoint: sink })),
  v1('KmsgLogConfig', fc.record({ name: fc.constantFrom('remote-log', 'other'), url: logUrl }, { requiredKeys: ['name'] })),
  v1('HostnameConfig', some({ hostname: fc.constantFrom('host-1', 'host-2') })),
  v1('NetworkDefaultActionConfig', some({ ingress: fc.constant('block') })),
  v1(
    'NetworkRuleConfig',
    fc.record({
      name: fc.constantFrom('rule-1', 'rule-2'),
      portSelector: fc.record({ ports: few(port), protocol: fc.constantFrom('tcp', 'udp') }),
      ingress: few(fc.record({ subnet: cidr })),
    }),
  ),
  v1(
    'ExtensionServiceConfig',
    fc.record({
      name: fc.constantFrom('one', 'two'),
      configFiles: fc.uniqueArray(fc.record({ content: word, mountPath: fc.constantFrom('/a', '/b') }), {
        maxLength: 2,
        selector: ({ mountPath }) => mountPath,
      }),
      environment: few(fc.constantFrom('A=1', 'B=2')),
    }),
  ),
  v1('WatchdogTimerConfig', some({ device: word, timeout: fc.constantFrom('1m0s', '3m0s') })),
  v1('KubeSpanEndpointsConfig', some({ extraAnnouncedEndpoints: few(fc.constantFrom('10.0.0.1:51820', '10.0.0.2:51820')) })),
];
const others = fc
  .array(fc.oneof(...otherDocuments), { maxLength: 3 })
  .map((documents) => [...new Map(documents.map((document) => [identityOf(document), document])).values()]);

/** Deletes some of the mappings of a patch instead of merging them: those whose turn it is. */
function deleting(value: unknown, turns: { count: number; readonly at: readonly number[] }): unknown {
  if (Array.isArray(value)) return value.map((item) => deleting(item, turns));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, member]) => {
    const isMapping = typeof member === 'object' && member !== null && !Array.isArray(member);
    return [key, isMapping && turns.at.includes(turns.count++) ? { $patch: 'delete' } : deleting(member, turns)];
  });
  return Object.fromEntries(entries) as unknown;
}

const machineDocument = fc.record({ version: fc.constant('v1alpha1'), machine, cluster }, { requiredKeys: ['version', 'machine'] });
const documents = fc.tuple(machineDocument, others).map(([first, more]) => [first, ...more]);
const turns = distinct(fc.integer({ min: 0, max: 40 }));

/** Configurations of the fields that people use, with patches of the same, a few of which delete. Values collide often. */
export const generatedMerge: fc.Arbitrary<GeneratedMerge> = fc
  .record({ config: documents, patch: documents, turns: fc.oneof(fc.constant([]), turns) })
  // From the second mapping on: without `machine`, Talos would not know the document.
  .map((given) => ({ config: given.config, patch: given.patch.map((document) => deleting(document, { count: -1, at: given.turns }) as object) }));

function identityOf(document: object): string {
  const { kind, name } = document as { kind?: string; name?: string };
  return `${kind}/${name}`;
}
