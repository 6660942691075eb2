/** Where the original is installed, and we are; `clusterctl init --target-namespace` changes it in every object. */
export const NAMESPACE = 'sidero-system';

/** On every object of the bundle, in the selectors of Services and of the Deployment: those of the original. */
export const LABELS: Readonly<Record<string, string>> = {
  app: 'sidero',
  'cluster.x-k8s.io/provider': 'sidero',
  'cluster.x-k8s.io/v1alpha3': 'v1alpha3',
  'cluster.x-k8s.io/v1alpha4': 'v1alpha3',
  'cluster.x-k8s.io/v1beta1': 'v1alpha3',
};

/** What Services find our pod by; of the original's Deployment it is the selector too, which nobody may change. */
export const SELECTOR: Readonly<Record<string, string>> = { ...LABELS, 'control-plane': 'sidero-controller-manager' };

/** An object of the bundle, as in its YAML. */
export interface BundleObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [more: string]: unknown;
}
