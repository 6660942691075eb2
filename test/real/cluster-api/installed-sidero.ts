import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { freePorts } from '@sidero/testing';
import { type RealKubeApi, startKubeApiServer, untilServed } from '../kube-apiserver.ts';
import { writeCertificate } from '../loopback.ts';

const NAMESPACE = 'sidero-system';
/** The account that the bundle's Deployment runs as, as the API knows it. */
export const SIDERO_ACCOUNT = `system:serviceaccount:${NAMESPACE}:default`;

/** What the manager runs with where a kubelet would have started it. */
export interface InstalledSidero {
  /** Reaches the API as the account of the bundle, and as nobody else. */
  readonly kubeconfigPath: string;
  /** The environment that the bundle's Deployment gives to container `manager`, but for its ports and folders, which are the test's. */
  readonly variables: Readonly<Record<string, string>>;
}

/** A request of an account, as the API server's audit log has it. */
export interface AuditedRequest {
  readonly verb: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code: number; readonly message?: string };
}

/** An API server that writes down what Sidero's account asks it for. */
export async function startAuditedApi(folder: string): Promise<RealKubeApi & { audited(): Promise<readonly AuditedRequest[]> }> {
  const [policy, log] = [join(folder, 'audit-policy.json'), join(folder, 'audit.log')];
  const rules = [{ level: 'Metadata', users: [SIDERO_ACCOUNT] }, { level: 'None' }];
  await writeFile(policy, JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules }));
  const api = await startKubeApiServer({ flags: { 'audit-policy-file': policy, 'audit-log-path': log } });
  const audited = async () => {
    const lines = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AuditedRequest);
  };
  return { ...api, audited };
}

interface Variable {
  readonly name: string;
  readonly value?: string;
}

interface Installed {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly conversion?: { readonly webhook?: { readonly clientConfig: ClientConfig } } };
  readonly webhooks?: readonly { readonly name: string; readonly clientConfig: ClientConfig }[];
}

interface ClientConfig {
  readonly service?: { readonly path: string };
}

/** The ports are the test's, and so are the folders. */
const OF_THE_POD = /_API_PORT$|^SIDERO_DATA_DIR$/;

/**
 * Does what a cluster with nodes would do once `clusterctl init` is over: the account and its token, the certificate of the webhooks (cert-manager), the
 * way to them (kube-proxy), and the environment of the container (kubelet).
 */
export async function playTheCluster(api: RealKubeApi, folder: string): Promise<InstalledSidero> {
  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await api.kubectl(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  await untilServed(api);
  const [port] = await freePorts(1);
  const ca = await writeCertificate(folder);
  await openWebhooks(kubectl, { url: `https://127.0.0.1:${port}`, caBundle: Buffer.from(ca).toString('base64') });
  await kubectl(['create', 'serviceaccount', 'default', '-n', NAMESPACE]);
  const token = (await kubectl(['create', 'token', 'default', '-n', NAMESPACE, '--duration=24h'])).trim();
  const container = 'jsonpath={.spec.template.spec.containers[?(@.name=="manager")].env}';
  const given = JSON.parse(await kubectl(['get', 'deployment', 'sidero-controller-manager', '-n', NAMESPACE, '-o', container])) as Variable[];
  const plain = given.flatMap(({ name, value }) => (value === undefined || OF_THE_POD.test(name) ? [] : [[name, value] as const]));
  const kubeconfigPath = join(folder, 'sidero.kubeconfig');
  await writeFile(kubeconfigPath, kubeConfigOf(api, token).exportConfig(), { mode: 0o600 });
  const webhooks = { SIDERO_WEBHOOK_PORT: String(port), SIDERO_WEBHOOK_CERT_DIR: folder };
  return { kubeconfigPath, variables: { ...Object.fromEntries(plain), SIDERO_NAMESPACE: NAMESPACE, ...webhooks } };
}

/** Turns the Services that our kinds and validations name into a URL. */
async function openWebhooks(
  kubectl: (args: readonly string[], input?: string) => Promise<string>,
  { url, caBundle }: { readonly url: string; readonly caBundle: string },
): Promise<void> {
  const ours = 'cluster.x-k8s.io/provider=infrastructure-sidero';
  for (const kind of ['crd', 'validatingwebhookconfiguration']) {
    const { items } = JSON.parse(await kubectl(['get', kind, '-l', ours, '-o', 'json'])) as { items: Installed[] };
    if (items.length === 0) throw new Error(`clusterctl init has installed no ${kind} of Sidero`);
    const at = (config: ClientConfig) => ({ url: `${url}${config.service?.path ?? ''}`, service: null, caBundle });
    for (const { metadata, spec, webhooks } of items) {
      const patch = webhooks
        ? { webhooks: webhooks.map((webhook) => ({ ...webhook, clientConfig: at(webhook.clientConfig) })) }
        : { spec: { conversion: { webhook: { clientConfig: at(spec!.conversion!.webhook!.clientConfig) } } } };
      await kubectl(['patch', kind, metadata.name, '--type=merge', '-p', JSON.stringify(patch)]);
    }
  }
}

function kubeConfigOf({ url, ca }: RealKubeApi, token: string): KubeConfig {
  const config = new KubeConfig();
  const cluster = { name: 'management', server: url, caData: Buffer.from(ca).toString('base64'), skipTLSVerify: false };
  config.loadFromClusterAndUser(cluster, { name: 'sidero', token });
  return config;
}

interface Role {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly roleRef?: { readonly name: string };
  readonly rules?: readonly { readonly apiGroups: readonly string[]; readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

/** Every right that the account has from the bundle, as `rightOf` writes it. */
export async function rightsOfSidero(kubectl: (args: readonly string[]) => Promise<string>): Promise<readonly string[]> {
  const kinds = 'clusterroles,clusterrolebindings,roles,rolebindings';
  const text = await kubectl(['get', kinds, '-A', '-l', 'cluster.x-k8s.io/provider=infrastructure-sidero', '-o', 'json']);
  const { items } = JSON.parse(text) as { items: Role[] };
  const bound = new Set(items.flatMap(({ roleRef }) => (roleRef ? [roleRef.name] : [])));
  const rules = items.flatMap(({ metadata, rules: found = [] }) => (bound.has(metadata.name) ? found : []));
  const rights = rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`))),
  );
  return [...new Set(rights)];
}

/** The right that a request used. */
export function rightOf({ verb, objectRef }: AuditedRequest): string {
  const { apiGroup = '', resource = '', subresource } = objectRef ?? {};
  return `${verb} ${apiGroup}/${resource}${subresource === undefined ? '' : `/${subresource}`}`;
}
