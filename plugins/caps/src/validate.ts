import { isDeepStrictEqual } from 'node:util';
import type { Admission, AdmissionRequest, KubeObject } from '@sidero/core';

/** A MetalMachineTemplate keeps the spec it was made with; its metadata may change, and it may go. Both objects are in one version. */
export function validateMetalMachineTemplate({ operation, object, oldObject }: AdmissionRequest): Admission {
  if (operation !== 'UPDATE' || isDeepStrictEqual(said(specOf(object)), said(specOf(oldObject)))) return { allowed: true };
  const message = 'MetalMachineTemplate.Spec is immutable: make a template with another name and name it in infrastructureRef';
  return { allowed: false, reason: 'BadRequest', message };
}

function specOf(object: KubeObject | undefined): unknown {
  return (object as { spec?: unknown } | undefined)?.spec;
}

/** The value without what says nothing: Go clients drop empty texts and write empty structs, whatever they have read. */
function said(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(said);
  if (typeof value !== 'object' || value === null) return value === '' ? undefined : (value ?? undefined);
  const members = Object.entries(value).map(([key, member]) => [key, said(member)] as const);
  const kept = members.filter(([, member]) => member !== undefined);
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}
