import { failure } from '../errors.ts';
import type { BmcLogin } from '../registries.ts';
import type { ResourceClient } from '../resources/client.ts';
import { type SecretKeyRef, type Server, ServerKind } from '../resources/kinds.ts';
import { readLogin } from './login.ts';

/** A password that may be changed, and where it is kept. */
export interface OwnPassword {
  readonly login: BmcLogin;
  readonly ref: SecretKeyRef;
}

/**
 * The password of a Server's BMC, when nobody else lives by it.
 * @throws SIDERO_BMC_LOGIN_MISSING, SIDERO_BMC_ROTATE_REFUSED
 */
export async function ownPassword(resources: ResourceClient, server: Server): Promise<OwnPassword> {
  const { spec } = server;
  const ref = spec?.bmc?.passFrom?.secretKeyRef;
  if (!spec?.accepted) throw refused(server, 'the Server is not accepted', 'accept it first: spec.accepted');
  if (spec.bmc?.pass || !ref)
    throw refused(server, 'it stands in spec.bmc.pass itself', 'put it into a Secret, name that in spec.bmc.passFrom.secretKeyRef, take out pass');
  const login = await readLogin(resources, server);
  if (!login) throw refused(server, 'it names no login', 'set spec.bmc.userFrom and spec.bmc.passFrom to a Secret');
  for (const other of await resources.list(ServerKind, {}, { live: true })) {
    if (other.metadata.name === server.metadata.name || !other.spec?.bmc) continue;
    if (namesKey(other, ref))
      throw refused(server, `Server ${other.metadata.name} uses the same key of Secret ${ref.name}`, 'give each BMC a Secret of its own');
    if (await isSameUser(resources, { server, other, login }))
      throw refused(
        server,
        `Server ${other.metadata.name} logs in to the same BMC as the same user`,
        'give each Server a user of its own on that BMC',
      );
  }
  return { login, ref };
}

function namesKey({ spec }: Server, ref: SecretKeyRef): boolean {
  const theirs = spec?.bmc?.passFrom?.secretKeyRef;
  return theirs?.namespace === ref.namespace && theirs.name === ref.name && theirs.key === ref.key;
}

// A login that cannot be read may be the same.
async function isSameUser(resources: ResourceClient, given: { server: Server; other: Server; login: BmcLogin }): Promise<boolean> {
  const { server, other, login } = given;
  if (hostOf(other) !== hostOf(server)) return false;
  const theirs = await readLogin(resources, other).catch(() => login);
  return theirs?.user === login.user;
}

// Whatever the protocol: a BMC has one list of users.
function hostOf({ spec }: Server): string | undefined {
  return spec?.bmc?.endpoint
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/, '')
    .replace(/(?<=^[^:]*|\]):\d+$/, '');
}

function refused(server: Server, why: string, next: string): Error {
  return failure('SIDERO_BMC_ROTATE_REFUSED', { server: server.metadata.name, why, next });
}
