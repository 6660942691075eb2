import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RealKubeApi } from '../kube-apiserver.ts';
import { TALOS_VERSION } from '../talos/program.ts';
import { CLUSTERCTL } from './parts.ts';

/** A cluster as its owner wants it. */
export interface ClusterWish {
  readonly name: string;
  /** Of its API, on 127.0.0.1. */
  readonly port: number;
  readonly serverClass: string;
  readonly controlPlanes: number;
  readonly workers: number;
}

/** The objects of a cluster, made by `clusterctl generate cluster` from the template beside this file. */
export async function generateCluster(api: RealKubeApi, wish: ClusterWish): Promise<string> {
  const flags = {
    from: join(import.meta.dirname, 'cluster-template.yaml'),
    kubeconfig: api.kubeconfigPath,
    'target-namespace': 'default',
    'kubernetes-version': 'v1.35.4',
    'control-plane-machine-count': wish.controlPlanes,
    'worker-machine-count': wish.workers,
  };
  const variables = {
    CONTROL_PLANE_HOST: '127.0.0.1',
    CONTROL_PLANE_PORT: String(wish.port),
    SERVER_CLASS: wish.serverClass,
    TALOS_VERSION: TALOS_VERSION.split('.').slice(0, 2).join('.'),
  };
  return clusterctl(['generate', 'cluster', wish.name], { flags, variables });
}

/** Moves every cluster of namespace "default", with all that belongs to it. @throws what clusterctl says when it fails */
export async function moveClusters(from: RealKubeApi, to: RealKubeApi): Promise<void> {
  const flags = { kubeconfig: from.kubeconfigPath, 'to-kubeconfig': to.kubeconfigPath, namespace: 'default', v: 2 };
  await clusterctl(['move'], { flags, variables: {} });
}

async function clusterctl(
  words: readonly string[],
  given: { readonly flags: Readonly<Record<string, string | number>>; readonly variables: Readonly<Record<string, string>> },
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clusterctl-'));
  // Neither a configuration of the user's, nor a look at the newest release.
  const env = { PATH: process.env['PATH'], HOME: folder, XDG_CONFIG_HOME: folder, CLUSTERCTL_DISABLE_VERSIONCHECK: 'true', ...given.variables };
  const args = [...words, ...Object.entries(given.flags).map(([name, value]) => `--${name}=${value}`)];
  try {
    return (await promisify(execFile)(CLUSTERCTL, args, { env })).stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
