import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { testCache } from '../kubernetes-parts.ts';

/** Releases of Cluster API's core: 1.10 for contract v1beta1, which Talos' providers are made for, and the newest, with both contracts. */
export type ClusterApiRelease = '1.10' | '1.14';

/** A program of Cluster API with the manifests of its kinds and webhooks, as `parts/build-cluster-api.sh` leaves it. */
export interface Provider {
  /** As clusterctl knows it, in the label `cluster.x-k8s.io/provider`. */
  readonly label: string;
  /** The same in clusterctl's configuration. */
  readonly name: string;
  readonly type: 'CoreProvider' | 'BootstrapProvider' | 'ControlPlaneProvider';
  readonly version: string;
  /** Of Cluster API, that it says it follows. */
  readonly contract: 'v1beta1' | 'v1beta2';
  readonly program: string;
  /** Its module's `config` folder. */
  readonly config: string;
  /** Kustomize gives it labels that say which of its versions follows which contract; core says it in its code. */
  readonly contractLabels: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

const VERSIONS = { '1.10': 'v1.10.9', '1.14': 'v1.14.2' } as const;
const FOLDER = join(testCache(), 'cluster-api');
const TALOS_LABELS = { 'cluster.x-k8s.io/v1alpha3': 'v1alpha3', 'cluster.x-k8s.io/v1alpha4': 'v1alpha3', 'cluster.x-k8s.io/v1beta1': 'v1alpha3' };
// The client limit of 20 requests/s would be the only thing measured.
const UNLIMITED = ['--kube-api-qps=1000', '--kube-api-burst=1000'];

type Known = Pick<Provider, 'label' | 'name' | 'type' | 'version' | 'contract'>;

function provider(known: Known, program: string, more: Partial<Provider>): Provider {
  const path = join(FOLDER, `${program}-${known.version}`);
  return { ...known, program: path, config: `${path}.config`, contractLabels: {}, args: [], ...more };
}

/** Cluster API's core and Talos' bootstrap and control-plane providers. */
export function providersOf(release: ClusterApiRelease): readonly Provider[] {
  const core = { label: 'cluster-api', name: 'cluster-api', type: 'CoreProvider' } as const;
  const bootstrap = { label: 'bootstrap-talos', name: 'talos', type: 'BootstrapProvider', version: 'v0.6.12', contract: 'v1beta1' } as const;
  const controlPlane = {
    label: 'control-plane-talos',
    name: 'talos',
    type: 'ControlPlaneProvider',
    version: 'v0.5.10',
    contract: 'v1beta1',
  } as const;
  return [
    provider({ ...core, version: VERSIONS[release], contract: release === '1.10' ? 'v1beta1' : 'v1beta2' }, 'core', { args: UNLIMITED }),
    provider(bootstrap, 'bootstrap-talos', { contractLabels: TALOS_LABELS }),
    provider(controlPlane, 'control-plane-talos', { contractLabels: TALOS_LABELS }),
  ];
}

/** The clusterctl of that release. */
export function clusterctlOf(release: ClusterApiRelease): string {
  return join(FOLDER, `clusterctl-${VERSIONS[release]}`);
}

export const CLUSTERCTL = clusterctlOf('1.10');

/** Whether everything of Cluster API has been built. */
export function isClusterApiBuilt(): boolean {
  const programs = (['1.10', '1.14'] as const).flatMap((release) => [clusterctlOf(release), ...providersOf(release).map(({ program }) => program)]);
  return programs.every((program) => existsSync(program));
}
