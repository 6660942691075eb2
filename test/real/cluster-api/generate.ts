import { execFile } from 'node:child_process';
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
  const args = ['generate', 'cluster', wish.name, ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)];
  const env = {
    PATH: process.env['PATH'],
    // Neither a configuration of the user's, nor a look at the newest release.
    HOME: '/nonexistent',
    XDG_CONFIG_HOME: '/nonexistent',
    CLUSTERCTL_DISABLE_VERSIONCHECK: 'true',
    CONTROL_PLANE_HOST: '127.0.0.1',
    CONTROL_PLANE_PORT: String(wish.port),
    SERVER_CLASS: wish.serverClass,
    TALOS_VERSION: TALOS_VERSION.split('.').slice(0, 2).join('.'),
  };
  return (await promisify(execFile)(CLUSTERCTL, args, { env })).stdout;
}
