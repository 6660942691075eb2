import { hasCode, type ResourceClient, type Secret, SecretKind, type Server, ServerKind } from '@sidero/core';
import { isIP } from 'node:net';
import type { BMCInfo } from './agent_pb.ts';
import type { Border } from './border.ts';

/** Where BMC logins are kept, as in the original. */
const SECRET_NAMESPACE = 'default';
/** RMCP+ port of a BMC that has not been given one. */
const DEFAULT_PORT = 623;

/** What a machine told of its BMC; empty and zero where it said nothing. */
export interface BmcUpdate {
  readonly ip: string;
  readonly port: number;
  /** Only when both were given. */
  readonly login: { readonly user: string; readonly pass: string } | undefined;
}

/** @throws SIDERO_AGENT_REQUEST_INVALID */
export function bmcUpdateOf(told: BMCInfo | undefined, check: Border): BmcUpdate {
  if (!told) throw check.invalid('bmc_info', 'is missing');
  const ip = check.text('bmc_info.ip', told.ip, 64);
  if (ip !== '' && (isIP(ip) === 0 || ip === '0.0.0.0' || ip === '::')) throw check.invalid('bmc_info.ip', 'is not an address of a BMC');
  if (told.port > 65_535) throw check.invalid('bmc_info.port', `is ${told.port}, not a port`);
  if (told.user.length > 64 || told.pass.length > 64) throw check.invalid('bmc_info', 'has a user or pass of more than 64 characters');
  return { ip, port: told.port, login: told.user && told.pass ? { user: told.user, pass: told.pass } : undefined };
}

/**
 * Writes down where a Server's BMC is and the login on it. The login goes to the Secret `default/<uuid>-bmc`, which goes with the
 * Server; a literal login in the Server's spec stays, and wins. Repeatable.
 *
 * @throws SIDERO_RESOURCE_MISSING, SIDERO_RESOURCE_CONFLICT
 */
export async function updateBmc(resources: ResourceClient, server: Server, update: BmcUpdate): Promise<Server> {
  const name = `${server.metadata.name}-bmc`;
  if (update.login) await keepLogin(resources, secretOf(name, server, update.login));
  return resources.change(ServerKind, { name: server.metadata.name }, (draft) => {
    if (!draft.spec) return false;
    draft.spec.bmc = bmcOf(draft.spec.bmc, update, name);
  });
}

type Bmc = NonNullable<NonNullable<Server['spec']>['bmc']>;

/** The `spec.bmc` that results. The original resets the port to 623 when it is told none; here the known one is kept. */
export function bmcOf(known: Bmc | undefined, update: BmcUpdate, secretName: string): Bmc {
  const from = (key: string) => ({ secretKeyRef: { namespace: SECRET_NAMESPACE, name: secretName, key } });
  return {
    ...known,
    endpoint: update.ip || (known?.endpoint ?? ''),
    port: update.port || known?.port || DEFAULT_PORT,
    ...(update.login && { userFrom: from('user'), passFrom: from('pass') }),
  };
}

/** Whether a Server still needs a login on its BMC; the original stops asking once it knows the BMC's address. */
export function lacksLogin(server: Server): boolean {
  const bmc = server.spec?.bmc;
  return !(bmc?.user || bmc?.userFrom) || !(bmc.pass || bmc.passFrom);
}

function secretOf(name: string, server: Server, login: { user: string; pass: string }): Secret {
  const { apiVersion, kind } = ServerKind;
  const owner = { apiVersion, kind, name: server.metadata.name, uid: server.metadata.uid ?? '', controller: true, blockOwnerDeletion: true };
  return {
    apiVersion: SecretKind.apiVersion,
    kind: SecretKind.kind,
    metadata: { name, namespace: SECRET_NAMESPACE, labels: { 'clusterctl.cluster.x-k8s.io/move': '' }, ownerReferences: [owner] },
    data: { user: base64(login.user), pass: base64(login.pass) },
  };
}

async function keepLogin(resources: ResourceClient, secret: Secret): Promise<void> {
  try {
    await resources.create(SecretKind, secret);
  } catch (thrown) {
    if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) throw thrown;
    await resources.change(SecretKind, { namespace: SECRET_NAMESPACE, name: secret.metadata.name }, (draft) => {
      draft.data = { ...secret.data };
    });
  }
}

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
