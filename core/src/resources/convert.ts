import { failure } from '../errors.ts';
import type { CustomResource, CustomResourceDefinition } from './custom-resource.ts';
import { findWrongType, type TypeSchema } from './find-wrong-type.ts';
import type { KubeObject } from './kinds.ts';

/** Annotation of Cluster API in which an object in an older version carries the stored one, as JSON without metadata. */
export const CONVERSION_DATA = 'cluster.x-k8s.io/conversion-data';

/** What the versions of a kind differ in. Types were checked against the schema; members may be absent or null. */
export interface ObjectBody {
  readonly spec?: object | null | undefined;
  readonly status?: object | null | undefined;
}

/** How one older version relates to the hub, which is the stored version. Both functions are pure. */
export interface OldVersion<Hub extends ObjectBody = ObjectBody, Old extends ObjectBody = ObjectBody> {
  /** The hub's data as far as this version can tell it. */
  down(hub: Hub): Old;
  /**
   * The hub's data. `restored` is the hub object that `old` was once made from, when its client has kept the annotation: what
   * this version can tell is taken from `old`, which may have been edited, everything else from `restored`.
   */
  up(old: Old, restored: Hub | undefined): Hub;
}

/**
 * The conversion function of a kind whose older versions are named in `olds`.
 * It throws SIDERO_CONVERSION_FAILED for an unknown version, data of a wrong type, and an annotation that can't be read.
 */
export function conversionOf(
  definition: CustomResourceDefinition,
  olds: Readonly<Record<string, OldVersion>>,
): NonNullable<CustomResource['convert']> {
  const { group, versions } = definition.spec;
  const conversion: Conversion = {
    hub: `${group}/${versions.find(({ storage }) => storage)!.name}`,
    olds: new Map(Object.entries(olds).map(([name, version]) => [`${group}/${name}`, version])),
    schemas: new Map(versions.map(({ name, schema }) => [`${group}/${name}`, schema.openAPIV3Schema])),
  };
  return (object, toApiVersion) => convert(conversion, object, toApiVersion);
}

interface Conversion {
  /** apiVersion of the stored version. */
  readonly hub: string;
  /** The other versions, by apiVersion. */
  readonly olds: ReadonlyMap<string, OldVersion>;
  /** Schemas of all versions, by apiVersion. */
  readonly schemas: ReadonlyMap<string, TypeSchema>;
}

type Refuse = (problem: string, cause?: unknown) => Error;

function convert(conversion: Conversion, object: KubeObject & ObjectBody, toApiVersion: string): KubeObject {
  const refuse: Refuse = (problem, cause) =>
    failure('SIDERO_CONVERSION_FAILED', { kind: object.kind, name: object.metadata?.name ?? '', to: toApiVersion, problem, cause });
  checkTypes(conversion, object, refuse);
  if (object.apiVersion === toApiVersion) return object;
  if (!conversion.schemas.has(toApiVersion)) throw refuse(`there is no version ${toApiVersion}`);

  const from = conversion.olds.get(object.apiVersion);
  const to = conversion.olds.get(toApiVersion);
  const stored: KubeObject & ObjectBody = from
    ? raise(object, { hub: conversion.hub, ...from.up(object, restore(conversion, object, refuse)) })
    : object;
  return to ? lower(stored, { toApiVersion, ...to.down(stored) }) : stored;
}

function checkTypes({ schemas }: Conversion, object: KubeObject, refuse: Refuse): void {
  const schema = schemas.get(object.apiVersion);
  if (!schema) throw refuse(`there is no version ${object.apiVersion}`);
  const problem = findWrongType(schema, object, '');
  if (problem) throw refuse(problem);
}

/** The hub object that the annotation carries. */
function restore(conversion: Conversion, object: KubeObject, refuse: Refuse): (KubeObject & ObjectBody) | undefined {
  const text = object.metadata?.annotations?.[CONVERSION_DATA];
  if (text === undefined) return undefined;
  let data: KubeObject | null;
  try {
    data = JSON.parse(text) as KubeObject | null;
  } catch (cause) {
    throw refuse(`its annotation ${CONVERSION_DATA} is not JSON`, cause);
  }
  if (data?.apiVersion !== conversion.hub || data.kind !== object.kind) {
    throw refuse(`its annotation ${CONVERSION_DATA} does not hold a ${object.kind} of ${conversion.hub}`);
  }
  checkTypes(conversion, data, (problem) => refuse(`in its annotation ${CONVERSION_DATA} ${problem}`));
  return data;
}

function raise(object: KubeObject, { hub, ...body }: ObjectBody & { readonly hub: string }): KubeObject & ObjectBody {
  const { annotations, ...metadata } = object.metadata ?? {};
  const { [CONVERSION_DATA]: _, ...kept } = annotations ?? {};
  return {
    apiVersion: hub,
    kind: object.kind,
    metadata: Object.keys(kept).length > 0 ? { ...metadata, annotations: kept } : metadata,
    ...bodyOf(body),
  };
}

function lower(object: KubeObject & ObjectBody, { toApiVersion, ...body }: ObjectBody & { readonly toApiVersion: string }): KubeObject {
  const data = sortedJson({ apiVersion: object.apiVersion, kind: object.kind, ...bodyOf(object) });
  return {
    apiVersion: toApiVersion,
    kind: object.kind,
    metadata: { ...object.metadata, annotations: { ...object.metadata?.annotations, [CONVERSION_DATA]: data } },
    ...bodyOf(body),
  };
}

function bodyOf({ spec, status }: ObjectBody): ObjectBody {
  return { ...(spec ? { spec } : {}), ...(status ? { status } : {}) };
}

/** Compact JSON with sorted keys, so that the same object always gives the same annotation. */
function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}
