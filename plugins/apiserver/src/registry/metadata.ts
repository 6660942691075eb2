import { isJsonObject, type JsonObject, type Metadata } from '../object.ts';
import { pruneMember } from '../schema/prune.ts';
import type { Schema } from '../schema/schema.ts';
import { validateValue } from '../schema/validate.ts';
import { badRequest, type FieldViolation, violation } from '../status.ts';

const text = (description: string): Schema => ({ type: 'string', description });
const texts = (description: string): Schema => ({ type: 'object', description, additionalProperties: { type: 'string' } });

/** `metadata` of every object. */
export const METADATA_SCHEMA: Schema = {
  type: 'object',
  description: 'Standard metadata of an object.',
  properties: {
    name: text('Name, unique in its namespace.'),
    generateName: text('Prefix of a name that the server completes.'),
    namespace: text('Namespace the object lives in; empty for cluster-scoped kinds.'),
    uid: text('Identity of this object in time and space; set by the server.'),
    selfLink: text('No longer used.'),
    resourceVersion: text('Opaque version, for optimistic locking and watching.'),
    generation: { type: 'integer', format: 'int64', description: 'Counts the changes of the desired state.' },
    creationTimestamp: { type: 'string', format: 'date-time', description: 'When the object was created.' },
    deletionTimestamp: { type: 'string', format: 'date-time', description: 'When its deletion was asked for.' },
    deletionGracePeriodSeconds: { type: 'integer', format: 'int64', description: 'Time it is given to end.' },
    labels: texts('Keys and values that selectors match.'),
    annotations: texts('Keys and values of any content.'),
    finalizers: {
      type: 'array',
      items: { type: 'string' },
      'x-kubernetes-list-type': 'set',
      'x-kubernetes-patch-strategy': 'merge',
      description: 'What must be done before the object goes.',
    },
    ownerReferences: {
      type: 'array',
      description: 'Objects this one depends on.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['uid'],
      'x-kubernetes-patch-strategy': 'merge',
      'x-kubernetes-patch-merge-key': 'uid',
      items: {
        type: 'object',
        required: ['apiVersion', 'kind', 'name', 'uid'],
        properties: {
          apiVersion: text('API version of the owner.'),
          kind: text('Kind of the owner.'),
          name: text('Name of the owner.'),
          uid: text('UID of the owner.'),
          controller: { type: 'boolean', description: 'The owner manages this object.' },
          blockOwnerDeletion: { type: 'boolean', description: 'The owner stays, when deleted in the foreground, until this object is gone.' },
        },
      },
    },
    managedFields: { type: 'array', description: 'Who set which fields.', items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  },
};

/**
 * Reads `metadata` off an object someone sent: empty members and unknown fields go, types are checked.
 * @throws a Status 400 for a value of the wrong type.
 */
export function readMetadata(value: unknown, kind: string): { metadata: Metadata; unknown: string[] } {
  if (value !== undefined && value !== null && !isJsonObject(value)) throw badRequest(`${kind}: metadata must be an object`);
  const metadata: JsonObject = Object.fromEntries(Object.entries(value ?? {}).filter(([, item]) => !isEmpty(item)));
  const unknown = pruneMember(metadata, METADATA_SCHEMA, 'metadata');
  const [wrong] = validateValue(metadata, METADATA_SCHEMA, 'metadata');
  if (wrong) throw badRequest(`${kind} cannot be read: ${wrong.field}: ${wrong.message}`);
  return { metadata: metadata as Metadata, unknown };
}

// Go's clients write nulls and empty lists for what is absent.
function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}

const LABEL_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_RULE =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_RULE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Which names a kind takes. */
export type NameRule = 'label' | 'subdomain' | 'path-segment';

/** The rules every object's metadata follows. */
export function metadataViolations(metadata: Metadata, rule: NameRule): FieldViolation[] {
  return [
    ...nameViolations(metadata, rule),
    ...Object.entries(metadata.labels ?? {}).flatMap(([key, value]) => labelViolations(key, value)),
    ...Object.keys(metadata.annotations ?? {}).flatMap((key) => keyViolations(key.toLowerCase(), 'metadata.annotations')),
    ...(metadata.finalizers ?? []).flatMap((name) => keyViolations(name, 'metadata.finalizers')),
    ...annotationSize(metadata),
  ];
}

function nameViolations({ name = '' }: Metadata, rule: NameRule): FieldViolation[] {
  const field = 'metadata.name';
  if (name === '') return [violation.required(field, 'name or generateName is required')];
  if (rule === 'path-segment')
    return /[/%]/.test(name) || name === '.' || name === '..' ? [violation.invalid(field, name, `may not be '.' or '..' or contain '/' or '%'`)] : [];
  const [max, pattern, text] = rule === 'label' ? [63, LABEL_NAME, LABEL_RULE] : [253, SUBDOMAIN, SUBDOMAIN_RULE];
  if (name.length > max) return [violation.invalid(field, name, `must be no more than ${max} bytes`)];
  return pattern.test(name) ? [] : [violation.invalid(field, name, text)];
}

function keyViolations(key: string, field: string): FieldViolation[] {
  const [name = '', prefix, ...more] = key.split('/').reverse();
  if (more.length > 0)
    return [
      violation.invalid(
        field,
        key,
        `a qualified name must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
      ),
    ];
  if (prefix !== undefined && !SUBDOMAIN.test(prefix)) return [violation.invalid(field, key, `prefix part ${SUBDOMAIN_RULE}`)];
  if (name.length > 63) return [violation.invalid(field, key, 'name part must be no more than 63 bytes')];
  return QUALIFIED.test(name) ? [] : [violation.invalid(field, key, QUALIFIED_RULE)];
}

function labelViolations(key: string, value: string): FieldViolation[] {
  const ofValue =
    value.length > 63
      ? [violation.invalid('metadata.labels', value, 'must be no more than 63 bytes')]
      : value === '' || QUALIFIED.test(value)
        ? []
        : [violation.invalid('metadata.labels', value, LABEL_VALUE_RULE)];
  return [...keyViolations(key, 'metadata.labels'), ...ofValue];
}

const ANNOTATIONS_LIMIT_BYTES = 256 * 1024;

function annotationSize({ annotations = {} }: Metadata): FieldViolation[] {
  const sizeBytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  return sizeBytes > ANNOTATIONS_LIMIT_BYTES ? [violation.tooLong('metadata.annotations', ANNOTATIONS_LIMIT_BYTES)] : [];
}
