import { hasCode, type ResourceClient, type Secret, SecretKind, ServerBindingKind } from '@sidero/core';
import { failure } from '../errors.ts';
import { generatePrivateKey, parseKey } from './keys.ts';

/** Where the original keeps it; `clusterctl move` takes it along. */
export const SECRET_REF = { namespace: 'default', name: 'siderolink' };
/** Of Events about it: of its own troubles, and of the tunnel's, which belongs to no other object. */
export const SECRET_REASON = 'SideroLink Secret';
export const TUNNEL_REASON = 'SideroLink Tunnel';
const MOVE_LABEL = 'clusterctl.cluster.x-k8s.io/move';

/** What the Secret holds. */
export interface InstallationKeys {
  /** Opaque text. */
  readonly id: string;
  /** base64 */
  readonly privateKey: string;
}

/** Reads what the Secret holds: base64 texts, base64 once more. @throws SIDERO_SIDEROLINK_SECRET_INVALID */
export function keysOf({ data }: Pick<Secret, 'data'>): InstallationKeys {
  const textOf = (key: string): string => {
    const value = data?.[key];
    if (!value) throw failure('SIDERO_SIDEROLINK_SECRET_INVALID', { key, problem: 'is missing' });
    const bytes = Buffer.from(value, 'base64');
    const text = bytes.toString('utf8');
    if (!Buffer.from(text, 'utf8').equals(bytes)) throw failure('SIDERO_SIDEROLINK_SECRET_INVALID', { key, problem: 'is not text' });
    return text;
  };
  const id = textOf('installation-id');
  const parsed = parseKey(textOf('private-key'));
  if ('problem' in parsed)
    throw failure('SIDERO_SIDEROLINK_SECRET_INVALID', { key: 'private-key', problem: `is no WireGuard key: ${parsed.problem}` });
  return { id, privateKey: parsed.key };
}

/** What the Secret holds now, from the API itself; undefined when there is none. @throws SIDERO_SIDEROLINK_SECRET_INVALID */
export async function readKeys(resources: Pick<ResourceClient, 'get'>): Promise<InstallationKeys | undefined> {
  const secret = await resources.get(SecretKind, SECRET_REF, { live: true });
  return secret && keysOf(secret);
}

/**
 * What the Secret holds; makes one when there is none. Of several replicas that do, one wins, and all read that one.
 * None is made while machines have addresses that an earlier one gave: they would all be cut off.
 * @throws SIDERO_SIDEROLINK_SECRET_INVALID, SIDERO_SIDEROLINK_SECRET_MISSING
 */
export async function readOrMakeKeys(resources: Pick<ResourceClient, 'get' | 'list' | 'create'>): Promise<InstallationKeys> {
  for (;;) {
    const known = await readKeys(resources);
    if (known) return known;
    await refuseWithBindings(resources);
    try {
      return keysOf(await resources.create(SecretKind, newSecret()));
    } catch (thrown) {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) throw thrown;
    }
  }
}

async function refuseWithBindings(resources: Pick<ResourceClient, 'list'>): Promise<void> {
  const bindings = await resources.list(ServerBindingKind, {}, { live: true });
  // Addresses of the loopback tunnel are nobody's: they come from the UUID.
  const joined = bindings.filter(({ spec }) => spec?.siderolink?.address.includes(':'));
  if (joined.length > 0) throw failure('SIDERO_SIDEROLINK_SECRET_MISSING', { bindings: joined.length });
}

function newSecret(): Secret {
  const twice = (text: string) => Buffer.from(text, 'utf8').toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...SECRET_REF, labels: { [MOVE_LABEL]: '' } },
    // The original draws both in the same way.
    data: { 'installation-id': twice(generatePrivateKey()), 'private-key': twice(generatePrivateKey()) },
  };
}
