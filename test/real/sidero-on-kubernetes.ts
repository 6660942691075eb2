import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkConfig, coreCustomResources, createLogger, createMetrics, type Variables, webhookService } from '@sidero/core';
import { startSidero } from '@sidero/core/start';
import { dump, load } from 'js-yaml';
import { freePorts } from '@sidero/testing';
import { KUBERNETES_VERSION, type KubectlResult, type RealKubeApi, startKubeApiServer, testCache, untilServed } from './kube-apiserver.ts';
import { writeCertificate } from './loopback.ts';

const CRDS = new URL('../../core/manifests/crds/', import.meta.url);

/** Whether the real API server has been built. */
export const isPossible = existsSync(join(testCache(), `kubernetes-${KUBERNETES_VERSION}`, 'kube-apiserver'));

/** The management plane as it runs in a cluster: a real API server with our CRDs, which calls our webhooks. */
export interface SideroOnKubernetes {
  readonly api: RealKubeApi;
  /** kubectl that must succeed; its output. */
  kubectl(args: readonly string[], input?: object): Promise<string>;
  /** The object as JSON; `resource` as kubectl takes it. */
  get<T>(resource: string, name: string): Promise<T>;
  /** kubectl, whatever comes of it. */
  attempt(args: readonly string[], input?: object): Promise<KubectlResult>;
  close(): Promise<void>;
}

/** Starts the webhooks alone, or all of core's own plugins; ready in about 7 s. */
export async function startSideroOnKubernetes(what: 'webhooks' | 'everything'): Promise<SideroOnKubernetes> {
  const folder = await mkdtemp(join(tmpdir(), 'sidero-on-kubernetes-'));
  const [api, [webhookPort = 0], ca] = await Promise.all([startKubeApiServer(), freePorts(1), writeCertificate(folder)]);
  const attempt = (args: readonly string[], input?: object) => api.kubectl(args, input && JSON.stringify(input));
  const kubectl = async (args: readonly string[], input?: object): Promise<string> => {
    const { code, stdout, stderr } = await attempt(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  await api.kubectl(['create', 'namespace', 'sidero-system']);
  await api.kubectl(['apply', '--server-side', '-f', '-'], await manifests({ url: `https://127.0.0.1:${webhookPort}`, ca }));
  await untilServed(api);
  const stop = await (what === 'webhooks' ? startWebhooks({ folder, webhookPort }) : startEverything({ api, folder, webhookPort }));
  return {
    api,
    kubectl,
    attempt,
    get: async <T>(resource: string, name: string) => JSON.parse(await kubectl(['get', resource, name, '-o', 'json'])) as T,
    close: async () => {
      await stop();
      await api.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startWebhooks({ folder, webhookPort }: { folder: string; webhookPort: number }): Promise<() => Promise<void>> {
  const log = createLogger({ level: 'silent' });
  const customResources = { list: coreCustomResources };
  const service = webhookService({
    customResources,
    log,
    metrics: createMetrics(),
    host: '127.0.0.1',
    port: webhookPort,
    certificate: { directory: folder },
  });
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const done = service.run(stop.signal, ready.resolve);
  await Promise.race([ready.promise, done]);
  return () => {
    stop.abort();
    return done;
  };
}

async function startEverything({
  api,
  folder,
  webhookPort,
}: {
  api: RealKubeApi;
  folder: string;
  webhookPort: number;
}): Promise<() => Promise<void>> {
  const variables: Variables = { SIDERO_WEBHOOK_PORT: String(webhookPort), SIDERO_WEBHOOK_CERT_DIR: folder };
  const given = {
    endpoint: '127.0.0.1',
    httpPort: 0,
    dataDir: join(folder, 'data'),
    healthAddress: 'off',
    diagnosticsAddress: 'off',
    plugins: [],
  } as const;
  const sidero = await startSidero({
    config: checkConfig(given, { file: 'test', variables }),
    log: createLogger({ level: process.env['SIDERO_LOG_LEVEL'] ?? 'silent' }),
    variables,
    kubeconfig: api.kubeconfigPath,
    host: '127.0.0.1',
  });
  return () => sidero.close();
}

/** Our CRDs and the validation of Servers, with the services they name turned into URLs. */
async function manifests({ url, ca }: { url: string; ca: string }): Promise<string> {
  const caBundle = Buffer.from(ca).toString('base64');
  const files = await readdir(CRDS);
  const crds = await Promise.all(
    files.map(async (file) => {
      const crd = load(await readFile(new URL(file, CRDS), 'utf8')) as { spec: { conversion: { webhook: { clientConfig: object } } } };
      crd.spec.conversion.webhook.clientConfig = { url: `${url}/convert`, caBundle };
      return crd;
    }),
  );
  const validation = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'sidero-validating-webhook-configuration' },
    webhooks: [
      {
        name: 'vservers.metal.sidero.dev',
        clientConfig: { url: `${url}/validate-metal-sidero-dev-v1alpha1-server`, caBundle },
        rules: [{ apiGroups: ['metal.sidero.dev'], apiVersions: ['v1alpha1'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['servers'] }],
        admissionReviewVersions: ['v1'],
        failurePolicy: 'Fail',
        sideEffects: 'None',
      },
    ],
  };
  return [...crds, validation].map((object) => dump(object)).join('---\n');
}
