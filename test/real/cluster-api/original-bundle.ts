import { coreCustomResources, type CustomResource } from '@sidero/core';
import { capsCustomResources } from '@sidero/plugin-caps';
import { labels, objects, roleRefs } from '../../parity/bundle.expected.ts';

const NAMESPACE = 'sidero-system';
const SCOPED = new Set(['Role', 'RoleBinding', 'Service', 'Deployment', 'Certificate', 'Issuer']);
const RBAC = 'rbac.authorization.k8s.io/v1';

/** What each kind of object is, beside its name. Nothing of it runs. */
const BODIES: Readonly<Record<string, (name: string) => object>> = {
  Namespace: () => ({ apiVersion: 'v1' }),
  Role: () => ({ apiVersion: RBAC, rules: [] }),
  ClusterRole: () => ({ apiVersion: RBAC, rules: [] }),
  RoleBinding: (name) => bindingTo('Role', name),
  ClusterRoleBinding: (name) => bindingTo('ClusterRole', name),
  Service: () => ({ apiVersion: 'v1', spec: { ports: [{ port: 443 }], selector: labels } }),
  Deployment: (name) => {
    const selector = { ...labels, 'control-plane': name };
    const containers = [{ name: 'manager', image: 'localhost/original:v0.6.13' }];
    return {
      apiVersion: 'apps/v1',
      spec: { selector: { matchLabels: selector }, template: { metadata: { labels: selector }, spec: { containers } } },
    };
  },
  Certificate: (name) => ({ apiVersion: 'cert-manager.io/v1', spec: { secretName: name } }),
  Issuer: () => ({ apiVersion: 'cert-manager.io/v1', spec: { selfSigned: {} } }),
  ValidatingWebhookConfiguration: () => ({ apiVersion: 'admissionregistration.k8s.io/v1', webhooks: [] }),
};

function bindingTo(kind: string, name: string): object {
  const subjects = [{ kind: 'ServiceAccount', name: 'default', namespace: NAMESPACE }];
  return { apiVersion: RBAC, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: roleRefs[name] }, subjects };
}

/** The objects of the original's bundle by their names, as far as `clusterctl` handles them. */
export function originalBundle(): readonly object[] {
  const kinds = [...coreCustomResources(), ...capsCustomResources()].map(({ definition }: CustomResource) => definition);
  return Object.entries(objects).flatMap(([kind, names]) =>
    names.map((name) => {
      if (kind === 'CustomResourceDefinition') return kinds.find(({ metadata }) => metadata.name === name)!;
      const metadata = { name, labels, ...(SCOPED.has(kind) ? { namespace: NAMESPACE } : {}) };
      return { kind, metadata, ...BODIES[kind]!(name) };
    }),
  );
}
