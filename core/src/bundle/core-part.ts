import type { BundlePart, PolicyRule } from './bundle-part.ts';
import { API_PORT, CONTAINER_API_PORT, placeholder } from './placeholders.ts';

/** The one port, as machines are told it and as it is bound. */
export interface ApiPorts {
  readonly told: number;
  readonly bound: number;
}

/** What core itself does in the API. Each right is used; `test/real/cluster-api` compares them with the audit log of an API server. */
const RULES: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  // The installation's name, in the fence of Servers.
  { apiGroups: [''], resources: ['namespaces'], resourceNames: ['kube-system'], verbs: ['get'] },
  // Logins of BMCs lie where Servers say; those that we made are changed by `sidero bmc rotate`. A corrected one is acted on at once.
  { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'get', 'list', 'patch', 'watch'] },
  { apiGroups: ['metal.sidero.dev'], resources: ['servers', 'serverclasses'], verbs: ['create', 'get', 'list', 'patch', 'watch'] },
  { apiGroups: ['metal.sidero.dev'], resources: ['environments'], verbs: ['create', 'get', 'list', 'watch'] },
  { apiGroups: ['metal.sidero.dev'], resources: ['environments/status', 'serverclasses/status', 'servers/status'], verbs: ['patch'] },
  { apiGroups: ['infrastructure.cluster.x-k8s.io'], resources: ['serverbindings'], verbs: ['create', 'get', 'list', 'watch'] },
];

/** What core needs, whatever the plugins. */
export function corePart({ told, bound }: ApiPorts): BundlePart {
  const port = placeholder(CONTAINER_API_PORT, String(bound));
  const service = { name: 'sidero-http', port: placeholder(API_PORT, String(told)) };
  return { name: 'sidero', rules: RULES, ports: [{ name: 'http', protocol: 'TCP', port, service }] };
}
