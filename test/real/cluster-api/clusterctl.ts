import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TALOS_VERSION } from '../talos/program.ts';
import { type ClusterApiRelease, clusterctlOf } from './parts.ts';

/** A cluster as its owner wants it. */
export interface ClusterWish {
  readonly name: string;
  /** Of its API, on 127.0.0.1. */
  readonly port: number;
  readonly serverClass: string;
  readonly controlPlanes: number;
  readonly workers: number;
}

/** Where clusterctl works: a cluster, and its configuration, which names the providers there are. */
export interface ClusterctlTarget {
  readonly kubeconfigPath: string;
  /** Default: that of `release` 1.10 without a configuration. */
  readonly clusterctl?: Clusterctl;
}

/** A release of clusterctl with a configuration of its own. */
export interface Clusterctl {
  readonly release: ClusterApiRelease;
  /** Path of its `clusterctl.yaml`. */
  readonly config: string;
}

const OUR_TEMPLATE = join(import.meta.dirname, '../../../plugins/caps/manifests/cluster-template.yaml');

/** Installs Cluster API, Talos' providers and Sidero from the repository that the configuration names. */
export async function initManagementCluster(target: Required<ClusterctlTarget>, infrastructure = 'sidero'): Promise<void> {
  const flags = { ...flagsOf(target), bootstrap: 'talos', 'control-plane': 'talos', infrastructure };
  await clusterctl(['init'], { flags, release: target.clusterctl.release });
}

/** The objects of a cluster, made by `clusterctl generate cluster` from our template. */
export async function generateCluster(target: ClusterctlTarget, wish: ClusterWish): Promise<string> {
  const template: Record<string, string> = target.clusterctl ? { infrastructure: 'sidero' } : { from: OUR_TEMPLATE };
  const flags = {
    ...flagsOf(target),
    ...template,
    'target-namespace': 'default',
    'kubernetes-version': 'v1.35.4',
    'control-plane-machine-count': wish.controlPlanes,
    'worker-machine-count': wish.workers,
  };
  const variables = {
    CONTROL_PLANE_ENDPOINT: '127.0.0.1',
    CONTROL_PLANE_PORT: String(wish.port),
    CONTROL_PLANE_SERVERCLASS: wish.serverClass,
    WORKER_SERVERCLASS: wish.serverClass,
    TALOS_VERSION: TALOS_VERSION.split('.').slice(0, 2).join('.'),
  };
  return clusterctl(['generate', 'cluster', wish.name], { flags, variables, release: target.clusterctl?.release });
}

/** What `clusterctl describe cluster` shows, with bootstrap and infrastructure of every machine. */
export async function describeCluster(target: ClusterctlTarget, name: string): Promise<string> {
  const flags = { ...flagsOf(target), namespace: 'default', echo: 'true', grouping: 'false' };
  return clusterctl(['describe', 'cluster', name], { flags, release: target.clusterctl?.release });
}

/** Moves every cluster of namespace "default", with all that belongs to it. @throws what clusterctl says when it fails */
export async function moveClusters(from: ClusterctlTarget, to: ClusterctlTarget): Promise<void> {
  const flags = { ...flagsOf(from), 'to-kubeconfig': to.kubeconfigPath, namespace: 'default', v: 2 };
  await clusterctl(['move'], { flags, release: from.clusterctl?.release });
}

function flagsOf({ kubeconfigPath, clusterctl: given }: ClusterctlTarget): Readonly<Record<string, string>> {
  return { kubeconfig: kubeconfigPath, ...(given ? { config: given.config } : {}) };
}

/** Runs clusterctl to its end; what it prints. @throws what it says when it fails */
export async function clusterctl(
  words: readonly string[],
  given: {
    readonly flags: Readonly<Record<string, string | number>>;
    readonly variables?: Readonly<Record<string, string>>;
    readonly release?: ClusterApiRelease | undefined;
  },
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clusterctl-'));
  // Neither a configuration of the user's, nor a look at the newest release.
  const env = { PATH: process.env['PATH'], HOME: folder, XDG_CONFIG_HOME: folder, CLUSTERCTL_DISABLE_VERSIONCHECK: 'true', ...given.variables };
  const args = [...words, ...Object.entries(given.flags).map(([name, value]) => `--${name}=${value}`)];
  try {
    return (await promisify(execFile)(clusterctlOf(given.release ?? '1.10'), args, { env })).stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
