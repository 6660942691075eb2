import type { Kind, KubeObject, Ref } from '../resources/kinds.ts';

/** Gives a kind that may come later, or in a version that only the API knows; asked again every 10 s while there is none. */
export type LateKind = () => Promise<Kind<KubeObject> | undefined>;

/** A loop over the objects of one kind. Runs on the leader only, never twice for one object at a time. */
export interface Controller<T extends KubeObject> {
  readonly name: string;
  readonly kind: Kind<T>;
  /** Other kinds whose changes make objects of `kind` due. */
  readonly also?: readonly { readonly kind: Kind<KubeObject>; refs(changed: KubeObject): readonly Ref[] }[];
  /** The same for kinds that somebody else brings. */
  readonly late?: readonly { readonly kind: LateKind; refs(changed: KubeObject): readonly Ref[] }[];
  /** Objects that are due at every start although they may not exist: what the controller itself creates. */
  readonly always?: readonly Ref[];
  /** Objects that are worked on at once. Default 10. */
  readonly concurrency?: number;
  /**
   * Looks at what is (also at whether it still is), does one step, may be called again at any time.
   * A throw means: again, after a back-off of 5 ms doubling up to 1000 s.
   */
  reconcile(ref: Ref, signal: AbortSignal): Promise<{ readonly requeueAfterMs: number } | undefined>;
}
