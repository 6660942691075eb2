import type { BundlePart, PolicyRule } from './bundle-part.ts';
import { type BundleObject, LABELS, NAMESPACE } from './labels.ts';

const RBAC = 'rbac.authorization.k8s.io';
const EVERYTHING = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
/** The account that both managers of the original run as. */
const SUBJECTS = [{ kind: 'ServiceAccount', name: 'default', namespace: NAMESPACE }];

/** For people: the original binds its managers to them, and sites their operators. We need less. */
const EDITORS = ['environment', 'server', 'serverclass'] as const;
const PLURALS = { environment: 'environments', server: 'servers', serverclass: 'serverclasses' } as const;

/** Who asks for metrics is looked up in the API. */
const PROXY: readonly PolicyRule[] = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
];
const ELECTION: readonly PolicyRule[] = [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create', 'get', 'patch'] }];

/** Roles and their bindings, in the order of the original: Roles, ClusterRoles, RoleBindings, ClusterRoleBindings. */
export function roles(parts: readonly BundlePart[]): readonly BundleObject[] {
  const wanting = parts.filter(({ rules = [] }) => rules.length > 0).toSorted((one, other) => (one.name < other.name ? -1 : 1));
  const managers = wanting.map(({ name, rules = [] }) => clusterRole(`${name}-manager-role`, rules));
  const editors = EDITORS.map((kind) => clusterRole(`sidero-${kind}-editor-role`, editorRules(PLURALS[kind])));
  return [
    role('sidero-leader-election-role', ELECTION),
    ...[...managers, clusterRole('sidero-proxy-role', PROXY), ...editors].toSorted((one, other) =>
      one.metadata.name < other.metadata.name ? -1 : 1,
    ),
    binding('RoleBinding', 'sidero-leader-election'),
    ...wanting.map(({ name }) => binding('ClusterRoleBinding', `${name}-manager`)),
    binding('ClusterRoleBinding', 'sidero-proxy'),
  ];
}

function editorRules(plural: string): readonly PolicyRule[] {
  return [
    { apiGroups: ['metal.sidero.dev'], resources: [plural], verbs: EVERYTHING },
    { apiGroups: ['metal.sidero.dev'], resources: [`${plural}/status`], verbs: plural === 'serverclasses' ? EVERYTHING : ['get', 'patch', 'update'] },
  ];
}

function role(name: string, rules: readonly PolicyRule[]): BundleObject {
  return { apiVersion: `${RBAC}/v1`, kind: 'Role', metadata: { name, namespace: NAMESPACE, labels: LABELS }, rules };
}

function clusterRole(name: string, rules: readonly PolicyRule[]): BundleObject {
  return { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name, labels: LABELS }, rules };
}

/** Binds the account to the role of that name. */
function binding(kind: 'RoleBinding' | 'ClusterRoleBinding', prefix: string): BundleObject {
  const isOfNamespace = kind === 'RoleBinding';
  return {
    apiVersion: `${RBAC}/v1`,
    kind,
    metadata: { name: `${prefix}-rolebinding`, ...(isOfNamespace ? { namespace: NAMESPACE } : {}), labels: LABELS },
    roleRef: { apiGroup: RBAC, kind: isOfNamespace ? 'Role' : 'ClusterRole', name: `${prefix}-role` },
    subjects: SUBJECTS,
  };
}
