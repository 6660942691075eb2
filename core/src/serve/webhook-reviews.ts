import * as z from 'zod';
import { messageOf } from '../errors.ts';
import type { CustomResource } from '../resources/custom-resource.ts';
import { findWrongType } from '../resources/find-wrong-type.ts';
import type { KubeObject } from '../resources/kinds.ts';
import { denialStatus } from '../resources/validate.ts';

const kubeObject = z.custom<KubeObject>(isKubeObject, 'not an object with apiVersion, kind and metadata');

const conversionReview = z.object({
  apiVersion: z.enum(['apiextensions.k8s.io/v1', 'apiextensions.k8s.io/v1beta1']),
  kind: z.literal('ConversionReview'),
  request: z.object({ uid: z.string(), desiredAPIVersion: z.string(), objects: z.array(kubeObject) }),
});

const admissionReview = z.object({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.object({
    uid: z.string(),
    operation: z.enum(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']),
    name: z.string().optional(),
    object: kubeObject.nullish(),
    oldObject: kubeObject.nullish(),
  }),
});

/** A request that is no review of the expected form, and why. */
export interface Malformed {
  readonly malformed: string;
}

/** Answers a ConversionReview: all objects in the wanted version, or none and the reason. */
export function answerConversion(review: unknown, resources: readonly CustomResource[]): object {
  const parsed = conversionReview.safeParse(review);
  if (!parsed.success) return malformed(parsed.error);
  const { apiVersion, kind, request } = parsed.data;
  const { uid, desiredAPIVersion, objects } = request;
  try {
    const convertedObjects = objects.map((object) => convert(object, desiredAPIVersion, resources));
    return { apiVersion, kind, response: { uid, convertedObjects, result: { status: 'Success' } } };
  } catch (thrown) {
    return { apiVersion, kind, response: { uid, convertedObjects: [], result: { status: 'Failure', message: messageOf(thrown) } } };
  }
}

function convert(object: KubeObject & { readonly items?: unknown }, to: string, resources: readonly CustomResource[]): KubeObject {
  const group = object.apiVersion.split('/')[0];
  const known = resources.filter(({ definition }) => definition.spec.group === group);
  const list = known.find(({ definition }) => definition.spec.names.listKind === object.kind);
  if (list) {
    // Items of a list may leave out what the list says for all of them.
    const known = { apiVersion: object.apiVersion, kind: list.definition.spec.names.kind, metadata: {} };
    const items = (Array.isArray(object.items) ? object.items : []).map((item: unknown) => ({ ...known, ...(item as object) }));
    if (!items.every(isKubeObject)) throw new Error(`an item of ${object.kind} is no object`);
    return { ...object, apiVersion: to, items: items.map((item) => convert(item, to, resources)) } as KubeObject;
  }
  const resource = known.find(({ definition }) => definition.spec.names.kind === object.kind);
  if (!resource) throw new Error(`${object.kind} of ${object.apiVersion} is no kind that is converted here`);
  if (object.apiVersion === to) return object;
  if (!resource.convert) throw new Error(`${object.kind} has no other version than ${object.apiVersion}`);
  return resource.convert(object, to);
}

/** Answers an AdmissionReview of one kind. */
export function answerAdmission(review: unknown, resource: CustomResource): object {
  const parsed = admissionReview.safeParse(review);
  if (!parsed.success) return malformed(parsed.error);
  const { apiVersion, kind, request } = parsed.data;
  return { apiVersion, kind, response: { uid: request.uid, ...judge(request, resource) } };
}

function judge({ operation, object, oldObject, name }: z.infer<typeof admissionReview>['request'], resource: CustomResource): object {
  if (!resource.validate || operation === 'CONNECT') return { allowed: true };
  const { group, names, versions } = resource.definition.spec;
  const schema = versions.find((version) => object?.apiVersion === `${group}/${version.name}`)?.schema.openAPIV3Schema;
  const problem = object && (schema ? findWrongType(schema, object, '') : `there is no version ${object.apiVersion}`);
  const admission = problem
    ? ({ allowed: false, reason: 'BadRequest', message: problem } as const)
    : resource.validate({ operation, object: object ?? undefined, oldObject: oldObject ?? undefined });
  if (admission.allowed) return { allowed: true };
  return { allowed: false, status: denialStatus(admission, { group, kind: names.kind, name: object?.metadata.name ?? name ?? '' }) };
}

function malformed(error: z.ZodError): Malformed {
  const [issue] = error.issues;
  return { malformed: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? error.message}` };
}

function isKubeObject(value: unknown): value is KubeObject {
  const given = value as Partial<Record<keyof KubeObject, unknown>> | null;
  const isObject = typeof given === 'object' && given !== null && typeof given.metadata === 'object' && given.metadata !== null;
  return isObject && typeof given.apiVersion === 'string' && typeof given.kind === 'string';
}
