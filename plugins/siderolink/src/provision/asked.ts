import { failure } from '../errors.ts';
import { parseKey } from '../installation/keys.ts';
import type { ProvisionRequest } from '../protocol/siderolink_pb.ts';

const MAX_CHARACTERS = 256;

/** What a machine sends, as it comes. */
export type Request = Pick<ProvisionRequest, 'nodeUuid' | 'nodePublicKey'> & {
  readonly joinToken?: string | undefined;
  readonly nodeUniqueToken?: string | undefined;
  readonly talosVersion?: string | undefined;
};

/** A request that was looked at. */
export interface Asked {
  readonly uuid: string;
  readonly publicKey: string;
  readonly token: string;
  readonly machineToken: string;
  readonly talosVersion: string;
  /** Where the call came from. */
  readonly from: string;
}

/** The UUID that a machine asks for. @throws SIDERO_PROVISION_INVALID */
export function uuidOf(text: string): string {
  const uuid = text.toLowerCase();
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return uuid;
  throw failure('SIDERO_PROVISION_INVALID', { field: 'node_uuid', problem: 'is no UUID' });
}

/** @throws SIDERO_PROVISION_INVALID, SIDERO_PROVISION_KEY_INVALID */
export function askedOf(uuid: string, request: Request, from: string): Asked {
  const parsed = parseKey(textOf('node_public_key', request.nodePublicKey));
  if ('problem' in parsed) throw failure('SIDERO_PROVISION_KEY_INVALID', { problem: parsed.problem });
  const talosVersion = textOf('talos_version', request.talosVersion);
  return {
    uuid,
    publicKey: parsed.key,
    token: textOf('join_token', request.joinToken),
    machineToken: textOf('node_unique_token', request.nodeUniqueToken),
    talosVersion: /^v?\d+\.\d+\.\d+[\w.+-]*$/.test(talosVersion) ? talosVersion : '',
    from,
  };
}

function textOf(field: string, text = ''): string {
  if (text.length > MAX_CHARACTERS) throw failure('SIDERO_PROVISION_INVALID', { field, problem: `is longer than ${MAX_CHARACTERS} characters` });
  return text;
}
