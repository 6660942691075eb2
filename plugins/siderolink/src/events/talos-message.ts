import { type DescEnum, type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import {
  AddressEventSchema,
  ConfigLoadErrorEventSchema,
  ConfigValidationErrorEventSchema,
  PhaseEvent_ActionSchema,
  PhaseEventSchema,
  SequenceError_CodeSchema,
  SequenceEvent_ActionSchema,
  SequenceEventSchema,
  ServiceStateEvent_ActionSchema,
  ServiceStateEventSchema,
  TaskEvent_ActionSchema,
  TaskEventSchema,
} from '../protocol/machine_pb.ts';
import { withoutTokens } from '../logs/without-tokens.ts';

/** What Talos tells, as far as it is looked into here. Actions and codes are names, or numbers where they have none; errors quote no token. */
export type TalosMessage =
  | { readonly kind: 'address'; readonly hostname: string; readonly addresses: readonly string[] }
  | { readonly kind: 'config-load-error' | 'config-validation-error'; readonly error: string }
  | { readonly kind: 'phase'; readonly phase: string; readonly action: string }
  | { readonly kind: 'task'; readonly task: string; readonly action: string }
  | { readonly kind: 'service'; readonly service: string; readonly action: string; readonly message: string }
  | {
      readonly kind: 'sequence';
      readonly sequence: string;
      readonly action: string;
      readonly error: { readonly code: string; readonly message: string } | undefined;
    }
  | { readonly kind: 'other' };

type Reader = (value: Uint8Array) => TalosMessage;

/** Reads the message of an event. @throws when `value` is not of the type that it is said to be */
export function talosMessage(type: string, value: Uint8Array): TalosMessage {
  return READERS.get(type)?.(value) ?? { kind: 'other' };
}

/** Every type that is looked into. */
export const KNOWN_TYPES = (): readonly string[] => [...READERS.keys()];

function reader<S extends DescMessage>(schema: S, read: (message: MessageShape<S>) => TalosMessage): [type: string, reader: Reader] {
  return [`type.googleapis.com/${schema.typeName}`, (value) => read(fromBinary(schema, value))];
}

const named = (names: DescEnum, value: number): string => names.value[value]?.name ?? String(value);

const READERS: ReadonlyMap<string, Reader> = new Map([
  reader(AddressEventSchema, ({ hostname, addresses }) => ({ kind: 'address', hostname, addresses })),
  reader(ConfigLoadErrorEventSchema, ({ error }) => ({ kind: 'config-load-error', error: withoutTokens(error) })),
  reader(ConfigValidationErrorEventSchema, ({ error }) => ({ kind: 'config-validation-error', error: withoutTokens(error) })),
  reader(PhaseEventSchema, ({ phase, action }) => ({ kind: 'phase', phase, action: named(PhaseEvent_ActionSchema, action) })),
  reader(TaskEventSchema, ({ task, action }) => ({ kind: 'task', task, action: named(TaskEvent_ActionSchema, action) })),
  reader(ServiceStateEventSchema, ({ service, action, message }) => {
    return { kind: 'service', service, action: named(ServiceStateEvent_ActionSchema, action), message: withoutTokens(message) };
  }),
  reader(SequenceEventSchema, ({ sequence, action, error }) => ({
    kind: 'sequence',
    sequence,
    action: named(SequenceEvent_ActionSchema, action),
    error: error && { code: named(SequenceError_CodeSchema, error.code), message: withoutTokens(error.message) },
  })),
]);
