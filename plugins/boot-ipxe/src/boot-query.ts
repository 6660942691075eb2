import type { Arch } from '@sidero/core';
import { parseMac } from './mac.ts';

/** Who asks `/ipxe`, as far as it is used. */
export interface BootQuery {
  /** Lower case; empty when it cannot be the name of a Server. */
  readonly uuid: string;
  /** Lower case with colons; empty when it is none. */
  readonly mac: string;
  readonly arch: Arch;
}

/** Reads the query of `/ipxe`. Keys are lower case, the first of several values counts, anything malformed counts as not given. */
export function parseBootQuery(query: string): BootQuery {
  const values = new URLSearchParams(query);
  const uuid = (values.get('uuid') ?? '').toLowerCase();
  return {
    uuid: /^[a-z\d][a-z\d.-]{0,252}$/.test(uuid) ? uuid : '',
    mac: parseMac(values.get('mac') ?? '') ?? '',
    arch: values.get('arch') === 'arm64' ? 'arm64' : 'amd64',
  };
}
