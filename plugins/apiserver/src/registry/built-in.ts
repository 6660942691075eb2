import { type ApiObject, isJsonObject, type JsonObject, textOf } from '../object.ts';
import type { Schema } from '../schema/schema.ts';
import { badRequest, forbidden, violation } from '../status.ts';
import type { Column, ResourceType, Strategy } from './resource-type.ts';

const OPEN: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const TEXT: Schema = { type: 'string' };
const INTEGER: Schema = { type: 'integer' };
const TIME: Schema = { type: 'string', format: 'date-time', nullable: true };
const TEXTS: Schema = { type: 'object', additionalProperties: TEXT };
const REFERENCE: Schema = object({ apiVersion: TEXT, kind: TEXT, name: TEXT, namespace: TEXT, uid: TEXT, resourceVersion: TEXT, fieldPath: TEXT });

/** A list of conditions or the like, merged by one member. */
function keyedList(key: string, items: Schema = OPEN): Schema {
  return {
    type: 'array',
    items,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [key],
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': key,
  };
}

function object(properties: Record<string, Schema>, description?: string): Schema {
  return { type: 'object', properties, ...(description ? { description } : {}) };
}

function column(name: string, type: string, cell: Column['cell']): Column {
  return { name, type, format: name === 'Name' ? 'name' : '', description: '', priority: 0, cell };
}

/** Shown with `-o wide` only. */
const wide = (shown: Column): Column => ({ ...shown, priority: 1 });

/** The age columns' cell: an instant, which the table turns into an age. */
const AGE = column('Age', 'date', ({ metadata }) => metadata.creationTimestamp);
const NAME = column('Name', 'string', ({ metadata }) => metadata.name);

/** Reads a nested member; undefined when something on the way is absent. */
function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((inner, key) => (isJsonObject(inner) ? inner[key] : undefined), value);
}

const textAt = (value: unknown, ...path: string[]) => {
  const found = at(value, ...path);
  return found === undefined || found === null ? undefined : textOf(found);
};

const countOf = (value: unknown) => (isJsonObject(value) ? Object.keys(value).length : Array.isArray(value) ? value.length : 0);

interface BuiltIn {
  readonly group?: string;
  readonly version?: string;
  readonly plural: string;
  readonly kind: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly namespaced: boolean;
  readonly hasStatus?: boolean;
  readonly schema: Schema;
  readonly columns: readonly Column[];
  readonly strategy?: Strategy;
  readonly fields?: ResourceType['fields'];
}

function builtIn(given: BuiltIn): ResourceType {
  const version = given.version ?? 'v1';
  return {
    origin: 'built-in',
    group: given.group ?? '',
    plural: given.plural,
    singular: given.kind.toLowerCase(),
    kind: given.kind,
    listKind: `${given.kind}List`,
    shortNames: given.shortNames ?? [],
    categories: given.categories ?? [],
    namespaced: given.namespaced,
    storageVersion: version,
    versions: [{ name: version, schema: given.schema, hasDefaults: false, hasStatus: given.hasStatus ?? false, columns: given.columns }],
    strategy: given.strategy ?? {},
    fields: given.fields ?? {},
    convert: (one) => one,
  };
}

const namespaces = builtIn({
  plural: 'namespaces',
  kind: 'Namespace',
  shortNames: ['ns'],
  namespaced: false,
  hasStatus: true,
  schema: object(
    {
      spec: object({ finalizers: { type: 'array', items: TEXT } }),
      status: object({
        phase: TEXT,
        conditions: keyedList('type'),
      }),
    },
    'A scope for the names of objects.',
  ),
  columns: [NAME, column('Status', 'string', (one) => at(one, 'status', 'phase')), AGE],
  fields: { 'status.phase': (one) => textAt(one, 'status', 'phase') },
  strategy: {
    prepare(one, old) {
      one.metadata.labels = { ...one.metadata.labels, 'kubernetes.io/metadata.name': one.metadata.name ?? '' };
      one['spec'] = old ? old['spec'] : { finalizers: ['kubernetes'] };
      if (old) return;
      one['status'] = { phase: 'Active' };
    },
    beforeDelete({ metadata }) {
      if (!['default', 'kube-system', 'kube-public'].includes(metadata.name ?? '')) return;
      throw forbidden({ group: '', plural: 'namespaces' }, metadata.name ?? '', 'this namespace may not be deleted');
    },
  },
});

const IMMUTABLE = (one: ApiObject, old: ApiObject | undefined) => old?.['immutable'] === true && one['immutable'] !== true;

const secrets = builtIn({
  plural: 'secrets',
  kind: 'Secret',
  namespaced: true,
  schema: object(
    {
      data: { type: 'object', additionalProperties: { type: 'string', format: 'byte' } },
      stringData: TEXTS,
      type: TEXT,
      immutable: { type: 'boolean' },
    },
    'Small pieces of secret data; the values of data are base64.',
  ),
  columns: [NAME, column('Type', 'string', (one) => one['type']), column('Data', 'string', (one) => countOf(one['data'])), AGE],
  fields: { type: (one) => textAt(one, 'type') },
  strategy: {
    prepare(one, old) {
      const { stringData } = one;
      delete one['stringData'];
      const given = Object.entries(isJsonObject(stringData) ? stringData : {}).map(([key, value]) => [
        key,
        Buffer.from(textOf(value)).toString('base64'),
      ]);
      if (given.length > 0) one['data'] = { ...(one['data'] as JsonObject | undefined), ...Object.fromEntries(given) };
      one['type'] ??= old?.['type'] ?? 'Opaque';
    },
    check: (one, old) => [
      ...(old && old['type'] !== one['type'] ? [violation.invalid('type', one['type'], 'field is immutable')] : []),
      ...(IMMUTABLE(one, old) ? [violation.forbidden('immutable', 'field is immutable when `immutable` is set')] : []),
      ...dataKeys(one, 'data'),
    ],
  },
});

const configmaps = builtIn({
  plural: 'configmaps',
  kind: 'ConfigMap',
  shortNames: ['cm'],
  namespaced: true,
  schema: object(
    { data: TEXTS, binaryData: { type: 'object', additionalProperties: { type: 'string', format: 'byte' } }, immutable: { type: 'boolean' } },
    'Configuration data.',
  ),
  columns: [NAME, column('Data', 'string', (one) => countOf(one['data']) + countOf(one['binaryData'])), AGE],
  strategy: {
    check: (one, old) => [
      ...(IMMUTABLE(one, old) ? [violation.forbidden('immutable', 'field is immutable when `immutable` is set')] : []),
      ...dataKeys(one, 'data'),
      ...dataKeys(one, 'binaryData'),
    ],
  },
});

function dataKeys(one: ApiObject, member: string) {
  return Object.keys((one[member] as JsonObject | undefined) ?? {})
    .filter((key) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key))
    .map((key) =>
      violation.invalid(
        `${member}[${key}]`,
        key,
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ),
    );
}

/** How long an Event is kept after its last write, in ms. */
export const EVENT_TTL_MS = 60 * 60 * 1000;

const lastSeen = (one: ApiObject) =>
  at(one, 'series', 'lastObservedTime') ??
  at(one, 'lastTimestamp') ??
  at(one, 'eventTime') ??
  at(one, 'firstTimestamp') ??
  one.metadata.creationTimestamp;

const eventSource = (one: ApiObject) => textAt(one, 'source', 'component') ?? textAt(one, 'reportingComponent');

const events = builtIn({
  plural: 'events',
  kind: 'Event',
  shortNames: ['ev'],
  namespaced: true,
  schema: object(
    {
      involvedObject: REFERENCE,
      related: REFERENCE,
      reason: TEXT,
      message: TEXT,
      type: TEXT,
      action: TEXT,
      count: INTEGER,
      source: object({ component: TEXT, host: TEXT }),
      firstTimestamp: TIME,
      lastTimestamp: TIME,
      eventTime: TIME,
      series: object({ count: INTEGER, lastObservedTime: TIME }),
      reportingComponent: TEXT,
      reportingInstance: TEXT,
    },
    'Something that happened to an object.',
  ),
  columns: [
    column('Last Seen', 'date', lastSeen),
    column('Type', 'string', (one) => one['type']),
    column('Reason', 'string', (one) => one['reason']),
    column(
      'Object',
      'string',
      (one) => `${(textAt(one, 'involvedObject', 'kind') ?? '').toLowerCase()}/${textAt(one, 'involvedObject', 'name') ?? ''}`,
    ),
    wide(column('Subobject', 'string', (one) => at(one, 'involvedObject', 'fieldPath') ?? '')),
    wide(column('Source', 'string', (one) => [eventSource(one), textAt(one, 'source', 'host')].filter(Boolean).join(', '))),
    column('Message', 'string', (one) => textOf(one['message']).trim()),
    wide(column('First Seen', 'date', (one) => one['firstTimestamp'] ?? one['eventTime'] ?? one.metadata.creationTimestamp)),
    wide(column('Count', 'string', (one) => at(one, 'series', 'count') ?? one['count'] ?? 1)),
    wide(NAME),
  ],
  fields: {
    ...Object.fromEntries(
      ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((key) => [
        `involvedObject.${key}`,
        (one: ApiObject) => textAt(one, 'involvedObject', key),
      ]),
    ),
    reason: (one) => textAt(one, 'reason'),
    reportingComponent: eventSource,
    source: eventSource,
    type: (one) => textAt(one, 'type'),
  },
  strategy: {
    ttlMs: EVENT_TTL_MS,
    check(one) {
      const about = textAt(one, 'involvedObject', 'namespace') || 'default';
      return about === one.metadata.namespace
        ? []
        : [violation.invalid('involvedObject.namespace', textAt(one, 'involvedObject', 'namespace') ?? '', 'does not match event.namespace')];
    },
  },
});

const leases = builtIn({
  group: 'coordination.k8s.io',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
  schema: object(
    {
      spec: object({
        holderIdentity: { ...TEXT, nullable: true },
        leaseDurationSeconds: { ...INTEGER, nullable: true, minimum: 1 },
        acquireTime: TIME,
        renewTime: TIME,
        leaseTransitions: { ...INTEGER, nullable: true, minimum: 0 },
        strategy: TEXT,
        preferredHolder: TEXT,
      }),
    },
    'A lock with a term; holders renew it.',
  ),
  columns: [NAME, column('Holder', 'string', (one) => at(one, 'spec', 'holderIdentity') ?? ''), AGE],
});

const nodes = builtIn({
  plural: 'nodes',
  kind: 'Node',
  shortNames: ['no'],
  namespaced: false,
  hasStatus: true,
  schema: object(
    { spec: OPEN, status: { ...OPEN, properties: { conditions: keyedList('type'), addresses: keyedList('type') } } },
    'A machine of a cluster.',
  ),
  columns: [
    NAME,
    column('Status', 'string', nodeReadiness),
    column('Roles', 'string', nodeRoles),
    AGE,
    column('Version', 'string', (one) => at(one, 'status', 'nodeInfo', 'kubeletVersion') ?? ''),
  ],
  fields: { 'spec.unschedulable': (one) => textAt(one, 'spec', 'unschedulable') ?? 'false' },
});

function nodeReadiness(one: ApiObject): string {
  const conditions = at(one, 'status', 'conditions');
  const ready = Array.isArray(conditions) ? conditions.find((condition) => at(condition, 'type') === 'Ready') : undefined;
  const words = [ready === undefined ? 'Unknown' : at(ready, 'status') === 'True' ? 'Ready' : 'NotReady'];
  if (at(one, 'spec', 'unschedulable') === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles({ metadata }: ApiObject): string {
  const roles = Object.keys(metadata.labels ?? {}).flatMap((key) => (key.startsWith('node-role.kubernetes.io/') ? [key.slice(24)] : []));
  return roles.toSorted().join(',') || '<none>';
}

const serviceaccounts = builtIn({
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  shortNames: ['sa'],
  namespaced: true,
  schema: object(
    {
      secrets: keyedList('name', REFERENCE),
      imagePullSecrets: keyedList('name', object({ name: TEXT })),
      automountServiceAccountToken: { type: 'boolean' },
    },
    'An identity.',
  ),
  columns: [NAME, column('Secrets', 'string', (one) => countOf(one['secrets'])), AGE],
});

/** The group of CustomResourceDefinitions. */
export const EXTENSIONS_GROUP = 'apiextensions.k8s.io';

const customresourcedefinitions = builtIn({
  group: EXTENSIONS_GROUP,
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  namespaced: false,
  hasStatus: true,
  schema: object({ spec: OPEN, status: OPEN }, 'A kind added to the API.'),
  columns: [NAME, column('Created At', 'string', ({ metadata }) => metadata.creationTimestamp)],
});

/** The kinds every API has, in the order of discovery. */
export const BUILT_IN_TYPES: readonly ResourceType[] = [
  configmaps,
  events,
  namespaces,
  nodes,
  secrets,
  serviceaccounts,
  customresourcedefinitions,
  leases,
];

/** Kinds that are posted and answered, never stored. */
export interface ReviewType {
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** The status the answer carries. */
  answer(review: JsonObject): JsonObject;
}

const ALLOWED = () => ({ allowed: true, reason: 'the token of the embedded API may do everything' });
const ADMIN = { username: 'admin', groups: ['system:masters', 'system:authenticated'] };

function review(given: Omit<ReviewType, 'plural' | 'singular'>): ReviewType {
  return { ...given, plural: `${given.kind.toLowerCase()}s`, singular: given.kind.toLowerCase() };
}

/** Access and token reviews. `isToken` tells whether a bearer token is valid here. */
export function reviewTypes(isToken: (token: string) => boolean): readonly ReviewType[] {
  const access = { group: 'authorization.k8s.io', namespaced: false };
  const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
  return [
    review({ group: 'authentication.k8s.io', kind: 'SelfSubjectReview', namespaced: false, answer: () => ({ userInfo: ADMIN }) }),
    review({ group: 'authentication.k8s.io', kind: 'TokenReview', namespaced: false, answer: (one) => tokenAnswer(one, isToken) }),
    review({ ...access, kind: 'LocalSubjectAccessReview', namespaced: true, answer: ALLOWED }),
    review({ ...access, kind: 'SelfSubjectAccessReview', answer: ALLOWED }),
    review({
      ...access,
      kind: 'SelfSubjectRulesReview',
      answer: () => ({ resourceRules: [everything], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }], incomplete: false }),
    }),
    review({ ...access, kind: 'SubjectAccessReview', answer: ALLOWED }),
  ];
}

function tokenAnswer(one: JsonObject, isToken: (token: string) => boolean): JsonObject {
  const token = textAt(one, 'spec', 'token');
  if (token === undefined) throw badRequest('TokenReview: spec.token is required');
  return isToken(token) ? { authenticated: true, user: ADMIN } : { authenticated: false, user: {}, error: 'the token is not known' };
}
