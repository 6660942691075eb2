import { hasCode, type ResourceClient, type Secret, SecretKind, type Server, ServerKind } from '@sidero/core';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { BMCInfo, CreateServerRequest } from './agent_pb.ts';
import type { Border } from './border.ts';
import { failure } from './errors.ts';

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

/**
 * What a machine that calls from the address `from` told. An address of the loopback interface is one only to a machine on this very host.
 *
 * @throws SIDERO_AGENT_REQUEST_INVALID
 */
export function bmcUpdateOf(told: BMCInfo | undefined, check: Border, from: string): BmcUpdate {
  if (!told) throw check.invalid('bmc_info', 'is missing');
  const ip = check.text('bmc_info.ip', told.ip, 64);
  const problem = ip === '' ? undefined : problemOf(ip, from);
  if (problem) throw check.invalid('bmc_info.ip', problem);
  if (told.port > 65_535) throw check.invalid('bmc_info.port', `is ${told.port}, not a port`);
  if (told.user.length > 64 || told.pass.length > 64) throw check.invalid('bmc_info', 'has a user or pass of more than 64 characters');
  return { ip, port: told.port, login: told.user && told.pass ? { user: told.user, pass: told.pass } : undefined };
}

const LOOPBACK = networks('127.0.0.0/8', '::1/128');
/** Unspecified, link-local, multicast, reserved. */
const NO_HOST = networks('0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3', '::/128', 'fe80::/10', 'ff00::/8');

function networks(...cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [net = '', prefix] = cidr.split('/');
    list.addSubnet(net, Number(prefix), familyOf(net));
  }
  return list;
}

function problemOf(ip: string, from: string): string | undefined {
  if (isIP(ip) === 0) return 'is not an IP address';
  if (NO_HOST.check(ip, familyOf(ip))) return `is ${ip}, which is the address of no BMC`;
  if (isLoopback(ip) && !isLoopback(from)) return `is ${ip}, which is this host`;
  return undefined;
}

const isLoopback = (ip: string) => isIP(ip) !== 0 && LOOPBACK.check(ip, familyOf(ip));

function familyOf(ip: string): 'ipv4' | 'ipv6' {
  return isIPv6(ip) ? 'ipv6' : 'ipv4';
}

/**
 * Writes down where a Server's BMC is and the login on it. The login goes to the Secret `default/<uuid>-bmc`, which goes with the
 * Server; a literal login in the Server's spec stays, and wins. Repeatable. True when there was something new.
 *
 * @throws SIDERO_AGENT_NOT_ACCEPTED, SIDERO_RESOURCE_MISSING, SIDERO_RESOURCE_CONFLICT
 */
export async function updateBmc(resources: ResourceClient, server: Server, update: BmcUpdate): Promise<boolean> {
  const { name } = server.metadata;
  if (!server.spec?.accepted) throw failure('SIDERO_AGENT_NOT_ACCEPTED', { server: name, what: 'nothing is noted of its BMC' });
  // First, so that a reference always leads somewhere.
  if (update.login) await keepLogin(resources, secretOf(server, update.login));
  let isNew = update.login !== undefined;
  await resources.change(ServerKind, { name }, (draft) => {
    const bmc = bmcOf(draft.spec?.bmc, update, secretName(server));
    if (!draft.spec || isDeepStrictEqual(bmc, draft.spec.bmc)) return false;
    draft.spec.bmc = bmc;
    isNew = true;
  });
  return isNew;
}

type Bmc = NonNullable<NonNullable<Server['spec']>['bmc']>;

/**
 * The `spec.bmc` that results. The original resets the port to 623 when it is told none; here the known one is kept. A host name is
 * somebody's choice and stays, as does a whole login that somebody else gave.
 */
export function bmcOf(known: Bmc | undefined, { ip, port, login }: BmcUpdate, secret: string): Bmc {
  const from = (key: string) => ({ secretKeyRef: { namespace: SECRET_NAMESPACE, name: secret, key } });
  const isNamed = known?.endpoint !== undefined && known.endpoint !== '' && isIP(known.endpoint) === 0;
  const isGiven = known !== undefined && gapIn(known) === 'none' && !refersTo(secret, known);
  return {
    ...known,
    endpoint: (isNamed ? '' : ip) || (known?.endpoint ?? ''),
    port: (isNamed ? known.port : 0) || port || known?.port || DEFAULT_PORT,
    ...(login && !isGiven && { userFrom: from('user'), passFrom: from('pass') }),
  };
}

/** What an agent is asked to do to its BMC, as it goes on the wire. */
export interface BmcOrder {
  readonly setupBmc: boolean;
  readonly bmcUser: string;
}

const NO_ORDER: BmcOrder = { setupBmc: false, bmcUser: '' };

/**
 * A login is made while there is none: no credentials in the Server's spec, or those of ours whose Secret is gone or has no value. The
 * original asks only until it knows the BMC's address. A Server that names a user and no password gets that user.
 */
export async function orderBmcSetup(resources: Pick<ResourceClient, 'get'>, server: Server, agent: Abilities): Promise<BmcOrder> {
  const bmc = server.spec?.bmc;
  const order = { setupBmc: true, bmcUser: bmc?.user ?? '' };
  // The original's agent can, and says nothing of itself; it knows one user only.
  const isAble = agent.agentVersion === '' ? order.bmcUser === '' : agent.capabilities.includes('bmc-setup');
  const gap = gapIn(bmc);
  if (!isAble || gap === 'odd') return NO_ORDER;
  if (gap === 'login') return order;
  return bmc && refersTo(secretName(server), bmc) && !(await hasLogin(resources, server)) ? order : NO_ORDER;
}

type Abilities = Pick<CreateServerRequest, 'agentVersion' | 'capabilities'>;

/** What is missing in a `spec.bmc`. "odd" is a literal password without user, which no login of ours would fit. */
function gapIn(bmc: Bmc | undefined): 'none' | 'login' | 'odd' {
  const [hasUser, hasPass] = [Boolean(bmc?.user || bmc?.userFrom), Boolean(bmc?.pass || bmc?.passFrom)];
  if (hasUser && hasPass) return 'none';
  return bmc?.pass ? 'odd' : 'login';
}

// A literal wins over its reference.
function refersTo(secret: string, { user, userFrom, pass, passFrom }: Bmc): boolean {
  const refs = [user ? undefined : userFrom, pass ? undefined : passFrom].map((from) => from?.secretKeyRef);
  return refs.some((ref) => ref?.namespace === SECRET_NAMESPACE && ref.name === secret);
}

async function hasLogin(resources: Pick<ResourceClient, 'get'>, server: Server): Promise<boolean> {
  const secret = await resources.get(SecretKind, { namespace: SECRET_NAMESPACE, name: secretName(server) }, { live: true });
  return Boolean(secret?.data?.['user'] && secret.data['pass']);
}

const secretName = ({ metadata }: Server) => `${metadata.name}-bmc`;

function secretOf(server: Server, login: { user: string; pass: string }): Secret {
  const { apiVersion, kind } = ServerKind;
  const owner = { apiVersion, kind, name: server.metadata.name, uid: server.metadata.uid ?? '', controller: true, blockOwnerDeletion: true };
  return {
    apiVersion: SecretKind.apiVersion,
    kind: SecretKind.kind,
    metadata: { name: secretName(server), namespace: SECRET_NAMESPACE, labels: { 'clusterctl.cluster.x-k8s.io/move': '' }, ownerReferences: [owner] },
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
