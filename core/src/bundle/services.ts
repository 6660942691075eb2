import type { BundlePart } from './bundle-part.ts';
import { type BundleObject, LABELS, NAMESPACE, SELECTOR } from './labels.ts';
import { bare } from './placeholders.ts';

/** Services for what servers reach, and for metrics. */
export function services(parts: readonly BundlePart[]): readonly BundleObject[] {
  const reached = parts.flatMap(({ ports = [] }) => ports);
  return [
    service('sidero-controller-manager-metrics-service', { labels: SELECTOR, port: { name: 'https', port: 8443, targetPort: 'metrics' } }),
    ...reached.map(({ name, protocol, port, service: { name: of, port: there = port } }) =>
      service(of, { labels: LABELS, port: { port: bare(there), protocol, targetPort: name } }),
    ),
  ];
}

function service(name: string, { labels, port }: { readonly labels: Readonly<Record<string, string>>; readonly port: object }): BundleObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: NAMESPACE, labels }, spec: { ports: [port], selector: SELECTOR } };
}
