import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load, loadAll } from 'js-yaml';
import type { Provider } from './parts.ts';

/** Where the API server finds the webhooks of a program, and whom it trusts there. */
export interface WebhookServer {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** PEM. */
  readonly ca: string;
}

interface Definition {
  metadata: { name: string; labels?: Record<string, string> };
  spec: { versions: { served: boolean }[]; conversion?: object };
}

interface ClientConfig {
  service?: { path: string };
  url?: string;
  caBundle?: string;
}

interface WebhookConfiguration {
  metadata: { name: string };
  webhooks: { name: string; clientConfig: ClientConfig }[];
}

/** The kinds of a provider with the labels that kustomize would give them, and with conversion by the provider where it converts. */
export async function definitionsOf(provider: Provider, webhooks: WebhookServer): Promise<readonly Definition[]> {
  const folder = join(provider.config, 'crd', 'bases');
  const files = (await readdir(folder)).toSorted();
  return Promise.all(files.map(async (file) => completed(load(await readFile(join(folder, file), 'utf8')) as Definition, provider, webhooks)));
}

function completed(definition: Definition, { label, contractLabels, config }: Provider, { url, ca }: WebhookServer): Definition {
  const labels = { ...definition.metadata.labels, ...contractLabels, 'cluster.x-k8s.io/provider': label, 'clusterctl.cluster.x-k8s.io': '' };
  const [plural] = definition.metadata.name.split('.');
  const converts = existsSync(join(config, 'crd', 'patches', `webhook_in_${plural}.yaml`));
  const isNeeded = definition.spec.versions.filter(({ served }) => served).length > 1;
  const clientConfig = { url: `${url}/convert`, caBundle: base64(ca) };
  const webhook = { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1', 'v1beta1'], clientConfig } };
  return {
    ...definition,
    metadata: { ...definition.metadata, labels },
    spec: { ...definition.spec, conversion: converts && isNeeded ? webhook : { strategy: 'None' } },
  };
}

/** What a provider admits and defaults, with the services it names turned into URLs. */
export async function admissionOf({ label, config }: Provider, { url, ca }: WebhookServer): Promise<readonly WebhookConfiguration[]> {
  const text = await readFile(join(config, 'webhook', 'manifests.yaml'), 'utf8');
  const configurations = (loadAll(text) as (WebhookConfiguration | null)[]).filter((one) => one !== null);
  return configurations.map((configuration) => {
    const seen = new Set<string>();
    const webhooks = configuration.webhooks.map((webhook) => {
      // The manifests have names that are there twice, which an API server refuses.
      const name = seen.has(webhook.name) ? `again-${webhook.name}` : webhook.name;
      seen.add(name);
      return { ...webhook, name, clientConfig: { url: `${url}${webhook.clientConfig.service?.path}`, caBundle: base64(ca) } };
    });
    return { ...configuration, metadata: { ...configuration.metadata, name: `${label}-${configuration.metadata.name}` }, webhooks };
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
