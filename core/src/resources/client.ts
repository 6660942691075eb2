import type { Kind, KubeObject, Ref } from './kinds.ts';

/** Which objects `list` and `watch` give. */
export interface Filter {
  readonly namespace?: string;
  /** Label selector in Kubernetes' own notation. */
  readonly labels?: string;
}

/** Something that happened to an object; `old` is what the cache held before. */
export type Change<T extends KubeObject> = { readonly type: 'added' | 'changed' | 'removed'; readonly object: T; readonly old?: T };

/**
 * The one way to the Kubernetes API. Reads come from a cache that is kept by watching, once the kind is watched and its
 * cache is complete; what this client wrote is in it at once. Objects that it gives are shared and frozen: edit them with
 * `change`. Besides the codes below, every call may throw SIDERO_RESOURCE_FAILED (the API said no) and
 * SIDERO_RESOURCE_UNREACHABLE.
 */
export interface ResourceClient {
  /** Absent is a value, not an error. `live` asks the API itself. */
  get<T extends KubeObject>(kind: Kind<T>, ref: Ref, options?: { readonly live?: boolean }): Promise<T | undefined>;
  list<T extends KubeObject>(kind: Kind<T>, filter?: Filter, options?: { readonly live?: boolean }): Promise<readonly T[]>;
  /** Names, labels and annotations of all objects of a kind, as the API itself has them now; nothing else of them, however large they are. */
  listMetadata(kind: Kind<KubeObject>): Promise<readonly KubeObject[]>;
  /** Objects whose index `name` (added with `index`) holds `key`; from the cache. */
  find<T extends KubeObject>(kind: Kind<T>, name: string, key: string): Promise<readonly T[]>;
  /** Declares an index over the cache; before start. */
  index<T extends KubeObject>(kind: Kind<T>, name: string, keys: (object: T) => readonly string[]): void;
  /** @throws SIDERO_RESOURCE_EXISTS */
  create<T extends KubeObject>(kind: Kind<T>, object: T): Promise<T>;
  /** Asks something that the API answers and does not keep: a TokenReview, a SubjectAccessReview. */
  review<T extends KubeObject>(kind: Kind<T>, object: Omit<T, 'metadata'>): Promise<T>;
  /**
   * Edits a copy of the object, patches the difference (the status apart from the rest) under its resourceVersion, and looks
   * again on conflict, up to 5 times. Nothing is written when nothing changed; `false` from the edit abandons. Both are
   * concluded from the API itself, never from a cache that may be behind, so the edit may run several times: it must
   * depend on nothing but the draft. Gives the object as it is now. The only way to write.
   * @throws SIDERO_RESOURCE_CONFLICT, SIDERO_RESOURCE_MISSING
   */
  change<T extends KubeObject>(kind: Kind<T>, ref: Ref, edit: (draft: T) => void | false): Promise<T>;
  /** Absent is no error. */
  remove(kind: Kind<KubeObject>, ref: Ref): Promise<void>;
  /** Calls `onChange` for every object there is, then for every change, until `signal` aborts. Survives 410, dropped sockets, an API that is away, and a kind that does not exist yet. */
  watch<T extends KubeObject>(kind: Kind<T>, onChange: (change: Change<T>) => void, signal: AbortSignal): Promise<void>;
  /** Writes an Event about the object; the same one again within 10 min raises its count instead. Never throws. */
  record(
    about: KubeObject,
    event: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string; readonly component?: string },
  ): Promise<void>;
}
