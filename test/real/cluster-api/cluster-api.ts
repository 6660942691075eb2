import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetch } from 'undici';
import type { RealKubeApi } from '../kube-apiserver.ts';
import { freePorts, writeCertificate } from '../loopback.ts';
import { type Program, startProgram, untilReady } from '../program.ts';
import { admissionOf, definitionsOf, type WebhookServer } from './manifests.ts';
import { type ClusterApiRelease, type Provider, providersOf } from './parts.ts';

/** Cluster API with Talos' providers, as processes beside an API server. */
export interface ClusterApi {
  /** The last of what its programs said, for the message of a failed test. */
  said(): string;
  close(): Promise<void>;
}

/** A provider and its ports. */
interface Placed {
  readonly provider: Provider;
  readonly webhooks: WebhookServer;
  readonly webhookPort: number;
  readonly healthPort: number;
  readonly diagnosticsPort: number;
}

interface Running extends Placed {
  readonly program: Program;
}

/** Installs the kinds of Cluster API and of Talos' providers, starts their programs, and returns once their webhooks answer; about 10 s. */
export async function startClusterApi({ api, release }: { readonly api: RealKubeApi; readonly release: ClusterApiRelease }): Promise<ClusterApi> {
  const folder = await mkdtemp(join(tmpdir(), 'sidero-cluster-api-'));
  const ca = await writeCertificate(folder);
  const running: Running[] = [];
  const close = async () => {
    await Promise.all(running.map(({ program }) => program.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const placed = await Promise.all(providersOf(release).map((provider) => place(provider, ca)));
    await install(api, (await Promise.all(placed.map(({ provider, webhooks }) => definitionsOf(provider, webhooks)))).flat());
    for (const one of placed) running.push({ ...one, program: start(one, { api, folder }) });
    await Promise.all(running.map(({ provider, program, healthPort }) => untilReady(program, provider.label, () => answers(healthPort))));
    await apply(api, (await Promise.all(placed.map(({ provider, webhooks }) => admissionOf(provider, webhooks)))).flat());
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return { said: () => running.map(({ provider, program }) => `--- ${provider.label}\n${lastErrors(program.said())}`).join('\n'), close };
}

/** Lines of klog at its level of errors. */
function lastErrors(said: string): string {
  const lines = said.split('\n').filter((line) => /^[EF]\d{4} /.test(line));
  return lines
    .slice(-4)
    .map((line) => line.slice(0, 500))
    .join('\n');
}

async function place(provider: Provider, ca: string): Promise<Placed> {
  const [webhookPort = 0, healthPort = 0, diagnosticsPort = 0] = await freePorts(3);
  return { provider, webhooks: { url: `https://127.0.0.1:${webhookPort}`, ca }, webhookPort, healthPort, diagnosticsPort };
}

function start({ provider, webhookPort, healthPort, diagnosticsPort }: Placed, { api, folder }: { api: RealKubeApi; folder: string }): Program {
  return startProgram(provider.program, [
    `--kubeconfig=${api.kubeconfigPath}`,
    `--webhook-port=${webhookPort}`,
    `--webhook-cert-dir=${folder}`,
    `--health-addr=127.0.0.1:${healthPort}`,
    `--diagnostics-address=127.0.0.1:${diagnosticsPort}`,
    '--insecure-diagnostics',
    ...provider.args,
  ]);
}

async function answers(healthPort: number): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok;
}

/** Applies definitions of kinds and waits until they are served. */
async function install(api: RealKubeApi, definitions: readonly { readonly metadata: { readonly name: string } }[]): Promise<void> {
  await apply(api, definitions);
  const names = definitions.map(({ metadata }) => `crd/${metadata.name}`);
  await succeed(api, ['wait', '--for=condition=Established', '--timeout=60s', ...names]);
}

async function apply(api: RealKubeApi, items: readonly object[]): Promise<void> {
  // Their schemas are too long for the annotation that a client-side apply writes.
  await succeed(api, ['apply', '--server-side', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

async function succeed(api: RealKubeApi, args: readonly string[], input?: string): Promise<void> {
  const { code, stderr } = await api.kubectl(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
}
