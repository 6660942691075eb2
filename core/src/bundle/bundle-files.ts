import { createHash } from 'node:crypto';
import { dump } from 'js-yaml';
import type { CustomResource } from '../resources/custom-resource.ts';
import type { BundlePart } from './bundle-part.ts';
import { type ApiPorts, corePart } from './core-part.ts';
import { deployment } from './deployment.ts';
import { type BundleObject, LABELS, NAMESPACE } from './labels.ts';
import { API_PORT, CONTAINER_API_PORT, withPlaceholders } from './placeholders.ts';
import { roles } from './roles.ts';
import { services } from './services.ts';
import { certificate, definitions, validations, webhookServices } from './webhooks.ts';

/** What a bundle is made of. */
export interface BundleOptions {
  /** A semantic version that begins with `v`. */
  readonly release: string;
  readonly image: string;
  readonly kinds: readonly CustomResource[];
  /** Of plugins. */
  readonly parts: readonly BundlePart[];
  /** Variables of options, which whoever installs may set. */
  readonly variables: readonly string[];
  /** Where nobody sets them. */
  readonly ports: ApiPorts;
}

/**
 * Release series of the original and of ours, with the contract of Cluster API that each follows. Ours begin after the original's, so that `clusterctl
 * upgrade` leads from one to the other. They follow v1beta2 as well, which is not said here: clusterctl 1.10 would refuse them, and 1.11 takes v1beta1.
 */
const SERIES = [
  ['v1alpha3', ['0.1', '0.2', '0.3']],
  ['v1alpha4', ['0.4']],
  ['v1beta1', ['0.5', '0.6', '0.7']],
] as const;

/** The files of a provider as clusterctl reads them from a repository, by name. */
export function bundleFiles(options: BundleOptions): Readonly<Record<string, string>> {
  const files = {
    'infrastructure-components.yaml': components(options),
    'metadata.yaml': metadata(options.release),
    ...Object.assign({}, ...options.parts.map((part) => part.files ?? {})),
  } as Record<string, string>;
  return { ...files, 'sha256sum.txt': sums('sha256', files), 'sha512sum.txt': sums('sha512', files) };
}

function components(options: BundleOptions): string {
  return bundleObjects(options)
    .map((object) => withPlaceholders(dump(object, { lineWidth: 140, noRefs: true })))
    .join('---\n');
}

/** The objects in `infrastructure-components.yaml`, in their order. */
export function bundleObjects({ kinds, parts, image, variables, ports }: BundleOptions): readonly BundleObject[] {
  const all = [corePart(ports), ...parts];
  const environment = Object.fromEntries(variables.map((name) => [name, '-']));
  const portVariables = { [API_PORT]: String(ports.told), [CONTAINER_API_PORT]: String(ports.bound) };
  const namespace = { name: NAMESPACE, labels: { ...LABELS, 'pod-security.kubernetes.io/enforce': 'privileged' } };
  const byName = (one: BundleObject, other: BundleObject) => (one.metadata.name < other.metadata.name ? -1 : 1);
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: namespace },
    ...definitions(kinds).toSorted(byName),
    ...roles(all),
    ...[...services(all), ...webhookServices(kinds)].toSorted(byName),
    deployment({ parts: all, image, variables: { ...environment, ...portVariables } }),
    ...certificate(kinds),
    ...validations(kinds),
  ];
}

function metadata(release: string): string {
  const known = SERIES.flatMap(([contract, versions]) =>
    versions.map((version) => {
      const [major = 0, minor = 0] = version.split('.').map(Number);
      return { major, minor, contract: contract as string };
    }),
  );
  const [major = 0, minor = 0] = release.slice(1).split('.').map(Number);
  const isKnown = known.some((one) => one.major === major && one.minor === minor);
  const releaseSeries = isKnown ? known : [...known, { major, minor, contract: 'v1beta1' }];
  return dump({ apiVersion: 'clusterctl.cluster.x-k8s.io/v1alpha3', kind: 'Metadata', releaseSeries });
}

function sums(algorithm: string, files: Readonly<Record<string, string>>): string {
  return Object.entries(files)
    .map(([name, text]) => `${createHash(algorithm).update(text).digest('hex')}  ${name}\n`)
    .join('');
}
