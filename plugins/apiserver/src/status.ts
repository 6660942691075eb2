import type { JsonObject } from './object.ts';

/** One violation inside an object, as `metav1.StatusCause` carries it. */
export interface FieldViolation {
  readonly type: 'Invalid' | 'Required' | 'NotSupported' | 'TypeInvalid' | 'Forbidden' | 'TooLong' | 'TooMany' | 'Duplicate';
  readonly field: string;
  /** The message without the field in front. */
  readonly message: string;
}

/** What a Status tells beyond its message. */
export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: { reason: string; message: string; field?: string }[];
  retryAfterSeconds?: number;
}

/** A refusal that is answered as a `v1` Status. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(given: { code: number; reason: string; message: string; details?: StatusDetails | undefined }) {
    super(given.message);
    this.name = 'ApiError';
    this.code = given.code;
    this.reason = given.reason;
    this.details = given.details;
  }

  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason ? { reason: this.reason } : {}),
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }
}

/** The plural name and the group, as messages put them: `servers.metal.sidero.dev`, `secrets`. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

/** The kind and the group, as `Invalid` messages put them: `Server.metal.sidero.dev`, `Secret`. */
export interface KindName {
  readonly group: string;
  readonly kind: string;
}

const qualified = (name: string, group: string) => (group ? `${name}.${group}` : name);

const detailsOf = (of: ResourceName, name: string): StatusDetails => ({ name, ...(of.group ? { group: of.group } : {}), kind: of.plural });

export function notFound(of: ResourceName, name: string): ApiError {
  return new ApiError({
    code: 404,
    reason: 'NotFound',
    message: `${qualified(of.plural, of.group)} "${name}" not found`,
    details: detailsOf(of, name),
  });
}

export function alreadyExists(of: ResourceName, name: string): ApiError {
  return new ApiError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${qualified(of.plural, of.group)} "${name}" already exists`,
    details: detailsOf(of, name),
  });
}

export function conflict(of: ResourceName, name: string, why?: string): ApiError {
  const cause = why ?? 'the object has been modified; please apply your changes to the latest version and try again';
  return new ApiError({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${qualified(of.plural, of.group)} "${name}": ${cause}`,
    details: detailsOf(of, name),
  });
}

export function forbidden(of: ResourceName, name: string, why: string): ApiError {
  return new ApiError({
    code: 403,
    reason: 'Forbidden',
    message: `${qualified(of.plural, of.group)} ${name ? `"${name}" ` : ''}is forbidden: ${why}`,
    details: name ? detailsOf(of, name) : { ...(of.group ? { group: of.group } : {}), kind: of.plural },
  });
}

export function badRequest(message: string): ApiError {
  return new ApiError({ code: 400, reason: 'BadRequest', message });
}

/** The path is no resource that we serve. */
export function unknownPath(): ApiError {
  return new ApiError({ code: 404, reason: 'NotFound', message: 'the server could not find the requested resource', details: {} });
}

export function methodNotAllowed(): ApiError {
  return new ApiError({
    code: 405,
    reason: 'MethodNotAllowed',
    message: 'the server does not allow this method on the requested resource',
    details: {},
  });
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  return new ApiError({
    code: 415,
    reason: 'UnsupportedMediaType',
    message: `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  });
}

export function notAcceptable(accepted: readonly string[]): ApiError {
  return new ApiError({
    code: 406,
    reason: 'NotAcceptable',
    message: `only the following media types are accepted: ${accepted.join(', ')}`,
  });
}

/** The revision a client wants to go on from is no longer (or never was) known. */
export function expired(message: string): ApiError {
  return new ApiError({ code: 410, reason: 'Expired', message });
}

export function tooLarge(limitBytes: number): ApiError {
  return new ApiError({ code: 413, reason: 'RequestEntityTooLarge', message: `Request entity too large: limit is ${limitBytes}` });
}

export function internalError(message: string): ApiError {
  return new ApiError({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${message}`,
    details: { causes: [{ reason: '', message }] },
  });
}

const CAUSE_REASONS: Readonly<Record<FieldViolation['type'], string>> = {
  Invalid: 'FieldValueInvalid',
  Required: 'FieldValueRequired',
  NotSupported: 'FieldValueNotSupported',
  TypeInvalid: 'FieldValueTypeInvalid',
  Forbidden: 'FieldValueForbidden',
  TooLong: 'FieldValueTooLong',
  TooMany: 'FieldValueTooMany',
  Duplicate: 'FieldValueDuplicate',
};

/** 422 with a cause for every violation. */
export function invalid(of: KindName, name: string, violations: readonly FieldViolation[]): ApiError {
  const texts = [...new Set(violations.map((one) => `${one.field}: ${one.message}`))];
  const list = texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`;
  return new ApiError({
    code: 422,
    reason: 'Invalid',
    message: `${qualified(of.kind, of.group)} "${name}" is invalid: ${list}`,
    details: {
      ...(name ? { name } : {}),
      ...(of.group ? { group: of.group } : {}),
      kind: of.kind,
      causes: violations.map((one) => ({ reason: CAUSE_REASONS[one.type], message: one.message, field: one.field })),
    },
  });
}

/** A value as Kubernetes quotes it in a violation. */
function quoteValue(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}

export const violation = {
  invalid: (field: string, value: unknown, detail: string): FieldViolation => ({
    type: 'Invalid',
    field,
    message: `Invalid value: ${quoteValue(value)}: ${detail}`,
  }),
  type: (field: string, value: unknown, detail: string): FieldViolation => ({
    type: 'TypeInvalid',
    field,
    message: `Invalid value: ${quoteValue(value)}: ${detail}`,
  }),
  required: (field: string, detail = ''): FieldViolation => ({
    type: 'Required',
    field,
    message: detail ? `Required value: ${detail}` : 'Required value',
  }),
  forbidden: (field: string, detail: string): FieldViolation => ({ type: 'Forbidden', field, message: `Forbidden: ${detail}` }),
  duplicate: (field: string, value: unknown): FieldViolation => ({ type: 'Duplicate', field, message: `Duplicate value: ${quoteValue(value)}` }),
  unsupported: (field: string, value: unknown, supported: readonly string[]): FieldViolation => ({
    type: 'NotSupported',
    field,
    message: `Unsupported value: ${quoteValue(value)}: supported values: ${supported.map((one) => JSON.stringify(one)).join(', ')}`,
  }),
  tooLong: (field: string, maxBytes: number): FieldViolation => ({
    type: 'TooLong',
    field,
    message: `Too long: may not be more than ${maxBytes} bytes`,
  }),
  tooMany: (field: string, actual: number, max: number): FieldViolation => ({
    type: 'TooMany',
    field,
    message: `Too many: ${actual}: must have at most ${max} items`,
  }),
};

/** The Status of a deletion that is done. */
export function deleted(of: ResourceName, name: string, uid: string | undefined): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { ...detailsOf(of, name), ...(uid ? { uid } : {}) },
  };
}
