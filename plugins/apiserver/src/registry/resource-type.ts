import type { ApiObject } from '../object.ts';
import type { Schema } from '../schema/schema.ts';
import type { FieldViolation, KindName, ResourceName } from '../status.ts';

/** A column of `kubectl get`. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, higher only with `-o wide`. */
  readonly priority: number;
  /** The cell of one object. */
  readonly cell: (object: ApiObject) => unknown;
}

/** One served version of a resource. */
export interface ResourceVersion {
  readonly name: string;
  /** Absent: everything is kept and nothing is checked. */
  readonly schema: Schema | undefined;
  readonly hasDefaults: boolean;
  readonly hasStatus: boolean;
  readonly columns: readonly Column[];
  /** Shown as a warning to whoever uses this version. */
  readonly deprecation?: string | undefined;
}

/** What differs between built-in kinds beyond their schema. */
export interface Strategy {
  /** Sets what the server decides (Secret.type, Namespace.spec.finalizers …). */
  prepare?(object: ApiObject, old: ApiObject | undefined): void;
  /** Rules that no schema holds. */
  check?(object: ApiObject, old: ApiObject | undefined): readonly FieldViolation[];
  /** Refuses a deletion by throwing a Status. */
  beforeDelete?(object: ApiObject): void;
  /** Objects vanish this long after their last write. */
  readonly ttlMs?: number;
}

/** A resource the API serves, built in or defined by a CustomResourceDefinition. */
export interface ResourceType extends ResourceName, KindName {
  readonly origin: 'built-in' | 'definition';
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Version objects are stored in. */
  readonly storageVersion: string;
  /** The preferred one first. */
  readonly versions: readonly ResourceVersion[];
  readonly strategy: Strategy;
  /** Fields a field selector may name beside metadata.name and metadata.namespace. */
  readonly fields: Readonly<Record<string, (object: ApiObject) => string | undefined>>;
  /** The object in another version; throws what the converter throws. */
  convert(object: ApiObject, version: string): ApiObject;
  /** Asks the validator of the kind; throws a Status when it refuses. Objects are in the storage version. */
  admit?(request: { operation: 'CREATE' | 'UPDATE' | 'DELETE'; object: ApiObject | undefined; oldObject: ApiObject | undefined }): void;
}

/** `apiVersion` of a group and a version. */
export function apiVersionOf(group: string, version: string): string {
  return group ? `${group}/${version}` : version;
}

/** The name the store files objects of a resource under. */
export function storeName(type: ResourceName): string {
  return type.group ? `${type.plural}.${type.group}` : type.plural;
}
