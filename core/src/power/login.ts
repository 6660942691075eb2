import { failure, messageOf } from '../errors.ts';
import type { BmcLogin } from '../registries.ts';
import type { ResourceClient } from '../resources/client.ts';
import { type Bmc, type Secret, type SecretKeyRef, SecretKind, type Server } from '../resources/kinds.ts';

/** Whether a Server names both parts of a login. With one only its BMC counts as not set up yet. */
export function namesLogin(server: Server): boolean {
  const bmc = server.spec?.bmc;
  return bmc !== undefined && Boolean(bmc.user || bmc.userFrom) && Boolean(bmc.pass || bmc.passFrom);
}

/**
 * The login of a Server's BMC; a literal wins over a Secret, which is read from the API each time. One newline at the end of a Secret's value does
 * not count: editors put it there. Undefined when the Server names none.
 * @throws SIDERO_BMC_LOGIN_MISSING
 */
export async function readLogin(resources: Pick<ResourceClient, 'get'>, server: Server): Promise<BmcLogin | undefined> {
  const { bmc } = server.spec ?? {};
  if (!bmc || !namesLogin(server)) return undefined;
  const secrets = new Map<string, Promise<Secret | undefined>>();
  const get = (ref: SecretKeyRef): Promise<Secret | undefined> => {
    const name = `${ref.namespace}/${ref.name}`;
    const known = secrets.get(name) ?? resources.get(SecretKind, ref, { live: true });
    secrets.set(name, known);
    return known;
  };
  const [user, pass] = await Promise.all([partOf(bmc, { part: 'user', get, server }), partOf(bmc, { part: 'pass', get, server })]);
  return { user, pass };
}

interface Part {
  readonly part: 'user' | 'pass';
  readonly server: Server;
  get(ref: SecretKeyRef): Promise<Secret | undefined>;
}

async function partOf(bmc: Bmc, { part, server, get }: Part): Promise<string> {
  const literal = bmc[part];
  if (literal) return literal;
  const missing = (problem: string, cause?: unknown) => failure('SIDERO_BMC_LOGIN_MISSING', { server: server.metadata.name, problem, cause });
  // The texts are the original's: they stand in Events that people search for.
  const ref = bmc[`${part}From`]?.secretKeyRef;
  if (!ref) throw missing('missing secretKeyRef');
  let secret: Secret | undefined;
  try {
    secret = await get(ref);
  } catch (thrown) {
    throw missing(`error getting secret "${ref.name}": ${messageOf(thrown)}`, thrown);
  }
  if (!secret) throw missing(`error getting secret "${ref.name}": there is none in namespace ${ref.namespace}`);
  const value = valueIn(secret, ref.key);
  if (value === undefined) throw missing(`secret key "${ref.key}" is missing in secret "${ref.name}"`);
  if (value === '') throw missing(`secret key "${ref.key}" is empty in secret "${ref.name}"`);
  return value;
}

/** A value of a Secret, without one newline at its end; undefined when it has none of that name. */
export function valueIn(secret: Secret, key: string): string | undefined {
  const encoded = secret.data && Object.hasOwn(secret.data, key) ? secret.data[key] : undefined;
  return encoded === undefined
    ? undefined
    : Buffer.from(encoded, 'base64')
        .toString()
        .replace(/\r?\n$/, '');
}
