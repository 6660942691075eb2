import type { Environment, Server, ServerBinding, ServerClass } from './types.gen.ts';

export type * from './types.gen.ts';

/** metadata of a Kubernetes object, the part we read and write. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean; blockOwnerDeletion?: boolean }[];
}

/** Any Kubernetes object. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** How a kind is reached over the API; `T` is the type of its objects. */
export interface Kind<T extends KubeObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Whether the status is written apart, at `/status`. Default true; a kind without a status never goes there. */
  readonly statusSubresource?: boolean;
  /** Never set; carries the type. */
  readonly object?: T;
}

/** Name of an object; `namespace` for namespaced kinds only. */
export interface Ref {
  readonly namespace?: string;
  readonly name: string;
}

export const ServerKind: Kind<Server> = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', plural: 'servers', namespaced: false };
/** The original's finalizer: a Server that is allocated is not deleted under the machine that runs on it. */
export const SERVER_FINALIZER = 'storage.finalizers.server.k8s.io';
export const ServerClassKind: Kind<ServerClass> = {
  apiVersion: 'metal.sidero.dev/v1alpha2',
  kind: 'ServerClass',
  plural: 'serverclasses',
  namespaced: false,
};
export const EnvironmentKind: Kind<Environment> = {
  apiVersion: 'metal.sidero.dev/v1alpha2',
  kind: 'Environment',
  plural: 'environments',
  namespaced: false,
};
export const ServerBindingKind: Kind<ServerBinding> = {
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
  kind: 'ServerBinding',
  plural: 'serverbindings',
  namespaced: false,
};

/** core/v1 Secret. `data` is base64. */
export interface Secret extends KubeObject {
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  type?: string;
}

export const SecretKind: Kind<Secret> = { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true };

/** core/v1 Event. */
export interface KubeEvent extends KubeObject {
  involvedObject: { apiVersion?: string; kind?: string; name?: string; namespace?: string; uid?: string };
  reason?: string;
  message?: string;
  type?: string;
  count?: number;
  firstTimestamp?: string;
  lastTimestamp?: string;
  source?: { component?: string };
  reportingComponent?: string;
}

export const EventKind: Kind<KubeEvent> = { apiVersion: 'v1', kind: 'Event', plural: 'events', namespaced: true };

/** coordination.k8s.io/v1 Lease. Times are RFC 3339 with microseconds. */
export interface Lease extends KubeObject {
  spec?: { holderIdentity?: string; leaseDurationSeconds?: number; acquireTime?: string; renewTime?: string; leaseTransitions?: number };
}

export const LeaseKind: Kind<Lease> = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', plural: 'leases', namespaced: true };
