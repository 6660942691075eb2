import type { KubeObject } from './kinds.ts';

/** A CustomResourceDefinition as in its YAML. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly group: string;
    readonly scope: 'Cluster' | 'Namespaced';
    readonly names: {
      readonly kind: string;
      readonly listKind: string;
      readonly plural: string;
      readonly singular: string;
      readonly categories?: readonly string[];
    };
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly storage: boolean;
      readonly schema: { readonly openAPIV3Schema: Readonly<Record<string, unknown>> };
      readonly subresources?: { readonly status?: object };
      readonly additionalPrinterColumns?: readonly {
        readonly name: string;
        readonly type: string;
        readonly jsonPath: string;
        readonly priority?: number;
        readonly description?: string;
        readonly format?: string;
      }[];
    }[];
    readonly [more: string]: unknown;
  };
}

/** One violation a validator found. `field` is the path shown to the user, `detail` says what would be valid. */
export interface FieldError {
  readonly field: string;
  readonly value: unknown;
  readonly detail: string;
}

/** A write that is about to happen. */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly object: KubeObject | undefined;
  readonly oldObject: KubeObject | undefined;
}

/** What a validator answers: nothing wrong, `Invalid` (422) with its fields, or `BadRequest` (400) with a sentence. */
export type Admission =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly reason: 'Invalid'; readonly errors: readonly FieldError[] }
  | { readonly allowed: false; readonly reason: 'BadRequest'; readonly message: string };

/**
 * A kind of ours: its definition and the two functions an API server calls for it, through the webhooks on a real one,
 * in process on the embedded one.
 */
export interface CustomResource {
  /** `<plural>.<group>`, as the definition's metadata.name. */
  readonly name: string;
  readonly definition: CustomResourceDefinition;
  /** It stands in for somebody else's kind on an API that is ours alone; `sidero manifests` leaves it out. Default false. */
  readonly isEmbeddedOnly?: boolean;
  /** The object in another served version; loses nothing on the way back. Throws on data that has no counterpart. */
  convert?(object: KubeObject, toApiVersion: string): KubeObject;
  validate?(request: AdmissionRequest): Admission;
}
