import { X509Certificate } from 'node:crypto';
import { type ResourceClient, SecretKind, type Server } from '@sidero/core';

/** Annotation of a Server: `namespace/name` of the Secret whose `ca.crt` signs its BMC's certificate. */
export const CA_ANNOTATION = 'metal.sidero.dev/bmc-ca';
/** Annotation of a Server: `sha256:` and the fingerprint of its BMC's certificate, which is then the only one taken. */
export const PIN_ANNOTATION = 'metal.sidero.dev/bmc-certificate';

/** The key of a Secret that holds CA certificates. */
export interface CaSecret {
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

/** How a service proves who it is; there is no way to leave the proof out. */
export type Trust =
  /** By a chain to one of these CAs (PEM), in date and for this host; without `ca` to those that Node trusts. */
  | { readonly by: 'ca'; readonly ca: string | undefined; readonly told: string }
  /** By being exactly this certificate: SHA-256 in lower-case hexadecimal digits. */
  | { readonly by: 'pin'; readonly pin: string; readonly told: string };

/**
 * How the BMC of a Server is to prove itself: the pin of the Server, else the CA of the Server, else that of the site, else Node's CAs.
 * @returns what is wrong, as a clause, when it cannot be told
 */
export async function trustOf(
  server: Server,
  site: { readonly caSecret: CaSecret | undefined; readonly resources: Pick<ResourceClient, 'get'> },
): Promise<Trust | { readonly problem: string }> {
  const annotations = server.metadata.annotations ?? {};
  const pinned = annotations[PIN_ANNOTATION];
  if (pinned !== undefined) {
    const pin = pinOf(pinned);
    return pin
      ? { by: 'pin', pin, told: 'pinned certificate' }
      : { problem: `annotation ${PIN_ANNOTATION} is not sha256: and 64 hexadecimal digits` };
  }
  const named = annotations[CA_ANNOTATION];
  const secret = named === undefined ? site.caSecret : secretNamed(named);
  if (named !== undefined && !secret) return { problem: `annotation ${CA_ANNOTATION} is not namespace/name of a Secret` };
  return secret ? trustInSecret(secret, site.resources) : { by: 'ca', ca: undefined, told: 'CAs of Node' };
}

/** The fingerprint in a pin, however it is written; undefined when it is none. */
export function pinOf(text: string): string | undefined {
  const [, digits] = /^\s*sha256:([0-9a-f:]+)\s*$/i.exec(text) ?? [];
  const pin = digits?.replaceAll(':', '').toLowerCase();
  return pin?.length === 64 ? pin : undefined;
}

function secretNamed(text: string): CaSecret | undefined {
  const [, namespace, name] = /^\s*([a-z0-9.-]+)\/([a-z0-9.-]+)\s*$/.exec(text) ?? [];
  return namespace && name ? { namespace, name, key: 'ca.crt' } : undefined;
}

async function trustInSecret(
  { namespace, name, key }: CaSecret,
  resources: Pick<ResourceClient, 'get'>,
): Promise<Trust | { readonly problem: string }> {
  const secret = await resources.get(SecretKind, { namespace, name }, { live: true });
  if (!secret) return { problem: `Secret ${namespace}/${name}, which holds the CA of its certificate, does not exist` };
  const pem = Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
  return isCertificate(pem)
    ? { by: 'ca', ca: pem, told: `CA in Secret ${namespace}/${name}` }
    : { problem: `Secret ${namespace}/${name} has no PEM certificate under "${key}"` };
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}
