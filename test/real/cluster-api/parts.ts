import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { testCache } from '../kubernetes-parts.ts';

/** Releases of Cluster API's core: 1.10 for contract v1beta1, which Talos' providers are made for, and the newest, with both contracts. */
export type ClusterApiRelease = '1.10' | '1.14';

/** A program of Cluster API with the manifests of its kinds and webhooks, as `parts/build-cluster-api.sh` leaves it. */
export interface Provider {
  /** As clusterctl knows it, in the label `cluster.x-k8s.io/provider`. */
  readonly label: string;
  readonly program: string;
  /** Its module's `config` folder. */
  readonly config: string;
  /** Kustomize gives it labels that say which of its versions follows which contract; core says it in its code. */
  readonly contractLabels: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

const FOLDER = join(testCache(), 'cluster-api');
const TALOS_LABELS = { 'cluster.x-k8s.io/v1alpha3': 'v1alpha3', 'cluster.x-k8s.io/v1alpha4': 'v1alpha3', 'cluster.x-k8s.io/v1beta1': 'v1alpha3' };
// The client limit of 20 requests/s would be the only thing measured.
const UNLIMITED = ['--kube-api-qps=1000', '--kube-api-burst=1000'];

function provider(label: string, name: string, more: Partial<Provider>): Provider {
  const program = join(FOLDER, name);
  return { label, program, config: `${program}.config`, contractLabels: {}, args: [], ...more };
}

/** Cluster API's core and Talos' bootstrap and control-plane providers. */
export function providersOf(release: ClusterApiRelease): readonly Provider[] {
  return [
    provider('cluster-api', release === '1.10' ? 'core-v1.10.9' : 'core-v1.14.2', { args: UNLIMITED }),
    provider('bootstrap-talos', 'bootstrap-talos-v0.6.12', { contractLabels: TALOS_LABELS }),
    provider('control-plane-talos', 'control-plane-talos-v0.5.10', { contractLabels: TALOS_LABELS }),
  ];
}

export const CLUSTERCTL = join(FOLDER, 'clusterctl-v1.10.9');

/** Whether everything of Cluster API has been built. */
export function isClusterApiBuilt(): boolean {
  const programs = [...providersOf('1.10'), ...providersOf('1.14')].map(({ program }) => program);
  return [...programs, CLUSTERCTL].every((program) => existsSync(program));
}
