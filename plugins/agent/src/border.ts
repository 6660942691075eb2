import { failure } from './errors.ts';

/** Most entries any list of a request may have; more than any machine has of anything. */
export const LIST_LIMIT = 4096;
// SMBIOS and sysfs strings are far below this.
const TEXT_LIMIT = 512;
// What the CRD's int32 fields can hold.
const WHOLE_LIMIT = 2 ** 31 - 1;

/** Checks the fields of one method's request. Each check returns the value, or throws SIDERO_AGENT_REQUEST_INVALID with the field's path. */
export interface Border {
  /** Without control characters, trimmed: what it holds is shown on terminals. At most `limit` (512) UTF-16 units. */
  readonly text: (field: string, value: string, limit?: number) => string;
  /** As `text`, and not empty. */
  readonly required: (field: string, value: string, limit?: number) => string;
  /** A count or size that fits an int32. */
  readonly whole: (field: string, value: number) => number;
  /** Bytes, exact as a number. */
  readonly bytes: (field: string, value: bigint) => number;
  /** At most `limit` (4096) entries. */
  readonly list: <T>(field: string, values: readonly T[], limit?: number) => readonly T[];
  /** Lower-case canonical UUID. Whether it is one to be used is core's to say. */
  readonly uuid: (field: string, value: string) => string;
  readonly invalid: (field: string, problem: string) => Error;
}

/** The border of one method. */
export function border(method: string): Border {
  const invalid = (field: string, problem: string) => failure('SIDERO_AGENT_REQUEST_INVALID', { method, field, problem });
  const text: Border['text'] = (field, value, limit = TEXT_LIMIT) => {
    if (value.length > limit) throw invalid(field, `is longer than ${limit} characters`);
    return value.replaceAll(/\p{Cc}/gu, '').trim();
  };
  return {
    text,
    invalid,
    required(field, value, limit) {
      const given = text(field, value, limit);
      if (given === '') throw invalid(field, 'is empty');
      return given;
    },
    whole(field, value) {
      if (value > WHOLE_LIMIT) throw invalid(field, `is ${value}, more than any machine has`);
      return value;
    },
    bytes(field, value) {
      if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(field, `is ${value} bytes, more than any machine has`);
      return Number(value);
    },
    list(field, values, limit = LIST_LIMIT) {
      if (values.length > limit) throw invalid(field, `has ${values.length} entries, more than ${limit}`);
      return values;
    },
    uuid(field, value) {
      const uuid = value.trim().toLowerCase();
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) throw invalid(field, 'is not a UUID');
      return uuid;
    },
  };
}
