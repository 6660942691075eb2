import type { CustomResource } from '../resources/custom-resource.ts';
import { type BundleObject, LABELS, NAMESPACE, SELECTOR } from './labels.ts';

const CERTIFICATE = 'sidero-serving-cert';
const ISSUER = 'sidero-selfsigned-issuer';
/** cert-manager writes it, and the manager mounts it. */
export const CERTIFICATE_SECRET = 'sidero-webhook-service-cert';
const INJECT = { 'cert-manager.io/inject-ca-from': `${NAMESPACE}/${CERTIFICATE}` };
const DEFAULT_SERVICE = 'sidero-webhook-service';

/** Definitions of the kinds. One listener serves all webhooks, with one certificate. */
export function definitions(kinds: readonly CustomResource[]): readonly BundleObject[] {
  return kinds.map(({ definition }) => {
    const { annotations, labels, ...metadata } = definition.metadata;
    return { ...definition, metadata: { ...metadata, labels: { ...LABELS, ...labels }, annotations: { ...annotations, ...INJECT } } };
  });
}

/** A Service for each that kinds are converted by, all before the one listener. */
export function webhookServices(kinds: readonly CustomResource[]): readonly BundleObject[] {
  return servicesOf(kinds).map((name) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: NAMESPACE, labels: LABELS },
    spec: { ports: [{ port: 443, targetPort: 9443 }], selector: SELECTOR },
  }));
}

/** For cert-manager: a certificate for all these Services. */
export function certificate(kinds: readonly CustomResource[]): readonly BundleObject[] {
  const dnsNames = servicesOf(kinds).flatMap((name) => [`${name}.${NAMESPACE}.svc`, `${name}.${NAMESPACE}.svc.cluster.local`]);
  const metadata = (name: string) => ({ name, namespace: NAMESPACE, labels: LABELS });
  const issuerRef = { kind: 'Issuer', name: ISSUER };
  return [
    {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: metadata(CERTIFICATE),
      spec: { dnsNames, issuerRef, secretName: CERTIFICATE_SECRET },
    },
    { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata: metadata(ISSUER), spec: { selfSigned: {} } },
  ];
}

/** What is validated, by the Service of its kind: `caps-webhook-service` makes `caps-validating-webhook-configuration`. */
export function validations(kinds: readonly CustomResource[]): readonly BundleObject[] {
  const validated = kinds.filter(({ validate }) => validate !== undefined);
  return servicesOf(validated).map((service) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: service.replace(/(-webhook-service)?$/, '-validating-webhook-configuration'), labels: LABELS, annotations: INJECT },
    webhooks: validated.filter((kind) => serviceOf(kind) === service).map((kind) => validation(kind, service)),
  }));
}

// The stored version: what is written in another one is converted before.
function validation({ definition }: CustomResource, service: string): object {
  const { group, versions, names } = definition.spec;
  const version = versions.find(({ storage }) => storage)!.name;
  return {
    name: `v${names.plural}.${group}`,
    admissionReviewVersions: ['v1'],
    clientConfig: {
      service: { name: service, namespace: NAMESPACE, path: `/validate-${group.replaceAll('.', '-')}-${version}-${names.kind.toLowerCase()}` },
    },
    failurePolicy: 'Fail',
    rules: [{ apiGroups: [group], apiVersions: [version], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: [names.plural] }],
    sideEffects: 'None',
  };
}

function servicesOf(kinds: readonly CustomResource[]): readonly string[] {
  return [...new Set(kinds.map(serviceOf))].toSorted();
}

/** The Service that its definition names for conversion. */
function serviceOf({ definition }: CustomResource): string {
  const conversion = definition.spec['conversion'] as { webhook?: { clientConfig?: { service?: { name?: string } } } } | undefined;
  return conversion?.webhook?.clientConfig?.service?.name ?? DEFAULT_SERVICE;
}
