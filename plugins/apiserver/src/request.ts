import { badRequest, unknownPath } from './status.ts';

/** A request for a resource, read off its path and query. */
export interface ResourceRequest {
  readonly group: string;
  readonly version: string;
  /** Plural name. */
  readonly resource: string;
  /** Empty for cluster-scoped resources and for lists over all namespaces. */
  readonly namespace: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly query: URLSearchParams;
}

/**
 * Reads `/api/v1/…` and `/apis/<group>/<version>/…`; undefined for any other path and for the groups and versions themselves.
 * @throws a Status when a part is not valid percent-encoding, or the path is too deep.
 */
export function parseResourcePath(path: string, query: URLSearchParams): ResourceRequest | undefined {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
  const isCore = parts[0] === 'api';
  if (!isCore && parts[0] !== 'apis') return undefined;
  const [group, version, ...rest] = isCore ? ['', ...parts.slice(1)] : parts.slice(1);
  if (version === undefined || rest.length === 0) return undefined;
  const scoped = isInNamespace(rest) ? { namespace: rest[1]!, rest: rest.slice(2) } : { namespace: '', rest };
  const [resource, name, subresource, ...tooMany] = scoped.rest;
  if (tooMany.length > 0 || resource === undefined) throw unknownPath();
  return { group: group!, version, resource, namespace: scoped.namespace, name, subresource, query };
}

// `namespaces/x`, `namespaces/x/status` and `namespaces/x/finalize` are about the namespace itself.
function isInNamespace(parts: readonly string[]): boolean {
  return parts[0] === 'namespaces' && parts.length > 2 && parts[2] !== 'status' && parts[2] !== 'finalize';
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badRequest(`the path is not valid: ${JSON.stringify(part)} is no percent-encoded text`);
  }
}

/** True for `?watch`, `?watch=1`, `?watch=true`. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

/** A whole number from the query that is not negative. */
export function count(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === '') return undefined;
  if (!/^\d{1,15}$/.test(value)) throw badRequest(`invalid value for ${name}: ${JSON.stringify(value)} is not a whole number`);
  return Number(value);
}

/** What the server does with fields that no schema knows. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

/** Options of a write. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  /** Who writes; given by the client, else its program name. */
  readonly manager: string;
}

/** Reads the query of POST, PUT and PATCH. The default of `fieldValidation` is `Warn`, as for every kind since Kubernetes 1.27. */
export function writeOptions(query: URLSearchParams, userAgent: string): WriteOptions {
  const dryRun = query.getAll('dryRun');
  const unknown = dryRun.find((one) => one !== '' && one !== 'All');
  if (unknown !== undefined) throw badRequest(`invalid value for dryRun: Unsupported value: ${JSON.stringify(unknown)}: supported values: "All"`);
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore') {
    throw badRequest(
      `invalid value for fieldValidation: Unsupported value: ${JSON.stringify(fieldValidation)}: supported values: "Ignore", "Warn", "Strict"`,
    );
  }
  const program = userAgent.split(/[/ ]/, 1)[0] || 'unknown';
  return { dryRun: dryRun.includes('All'), fieldValidation, manager: (query.get('fieldManager') || program).slice(0, 128) };
}
