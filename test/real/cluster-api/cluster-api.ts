import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetch } from 'undici';
import { freePorts } from '@sidero/testing';
import type { RealKubeApi } from '../kube-apiserver.ts';
import { writeCertificate } from '../loopback.ts';
import { type Program, startProgram, untilReady } from '../program.ts';
import { admissionOf, definitionsOf, type WebhookServer } from './manifests.ts';
import { type ClusterApiRelease, type Provider, providersOf } from './parts.ts';
import type { Offer } from './provider-repository.ts';

/** Cluster API with Talos' providers, as processes beside an API server. */
export interface ClusterApi {
  /** The last of what its programs said, for the message of a failed test. */
  said(): string;
  close(): Promise<void>;
}

/** Programs that have their ports, and do not run yet. */
export interface PlacedClusterApi {
  /** Their kinds, for whoever installs them. */
  readonly offers: readonly Offer[];
  /** Starts them beside an API server that has these kinds, and returns once their webhooks answer; about 10 s. */
  start(api: RealKubeApi): Promise<ClusterApi>;
  /** Ends what was started. */
  close(): Promise<void>;
}

/** A provider and its ports, on 127.0.0.1. */
export interface Placed {
  readonly provider: Provider;
  readonly webhooks: WebhookServer;
  readonly webhookPort: number;
  readonly healthPort: number;
  readonly diagnosticsPort: number;
}

interface Running extends Placed {
  readonly program: Program;
}

/** The command that starts a provider, to which its arguments are added; asked right before that, for who runs it in another network. */
export type CommandOf = (placed: Placed) => Promise<readonly [string, ...string[]]>;

const besideTheTest: CommandOf = ({ provider }) => Promise.resolve([provider.program]);

/** Gives Cluster API's core and Talos' providers their ports and a certificate. */
export async function placeClusterApi(release: ClusterApiRelease, commandOf = besideTheTest): Promise<PlacedClusterApi> {
  const folder = await mkdtemp(join(tmpdir(), 'sidero-cluster-api-'));
  const ca = await writeCertificate(folder);
  const running: Running[] = [];
  const providers = providersOf(release);
  const close = async () => {
    await Promise.all(running.map(({ program }) => program.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  const placed = await Promise.all(providers.map(async (provider) => place(provider, { ca, ports: await freePorts(3) })));
  const offers = placed.map(async ({ provider, webhooks }) => ({ provider, objects: await definitionsOf(provider, webhooks) }));
  const startAll = async (api: RealKubeApi): Promise<ClusterApi> => {
    for (const one of placed) running.push({ ...one, program: start(one, { command: await commandOf(one), api, folder }) });
    await Promise.all(running.map(({ provider, program, healthPort }) => untilReady(program, provider.label, () => answers(healthPort))));
    await apply(api, (await Promise.all(placed.map(({ provider, webhooks }) => admissionOf(provider, webhooks)))).flat());
    return { said: () => running.map(({ provider, program }) => `--- ${provider.label}\n${lastErrors(program.said())}`).join('\n'), close };
  };
  return { offers: await Promise.all(offers), start: startAll, close };
}

/** Lines of klog at its level of errors. */
function lastErrors(said: string): string {
  const lines = said.split('\n').filter((line) => /^[EF]\d{4} /.test(line));
  return lines
    .slice(-4)
    .map((line) => line.slice(0, 500))
    .join('\n');
}

function place(provider: Provider, { ca, ports }: { readonly ca: string; readonly ports: readonly number[] }): Placed {
  const [webhookPort = 0, healthPort = 0, diagnosticsPort = 0] = ports;
  return { provider, webhooks: { url: `https://127.0.0.1:${webhookPort}`, ca }, webhookPort, healthPort, diagnosticsPort };
}

function start(
  { provider, webhookPort, healthPort, diagnosticsPort }: Placed,
  { command: [program, ...before], api, folder }: { command: readonly [string, ...string[]]; api: RealKubeApi; folder: string },
): Program {
  return startProgram(program, [
    ...before,
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

async function apply(api: RealKubeApi, items: readonly object[]): Promise<void> {
  // Their schemas are too long for the annotation that a client-side apply writes.
  await succeed(api, ['apply', '--server-side', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

async function succeed(api: RealKubeApi, args: readonly string[], input?: string): Promise<void> {
  const { code, stderr } = await api.kubectl(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
}
