import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
// x509's dependency injection needs it loaded first.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

/** A certificate with its private key, both PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
const SERVER_DAYS = 365;

/** A certificate is renewed when less than this is left of it, in ms. */
export const RENEW_BEFORE_MS = 60 * DAY_MS;

/** A new certificate authority. */
export async function makeAuthority(now = new Date()): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=sidero-apiserver-ca',
    ...validity(now, CA_DAYS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: certificate.toString('pem'), keyPem: await privatePem(keys.privateKey) };
}

/** A server certificate for `hosts` (names or addresses), signed by `authority`. */
export async function makeServerCertificate(authority: KeyPair, hosts: readonly string[], now = new Date()): Promise<KeyPair> {
  const issuer = new x509.X509Certificate(authority.certPem);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(authority.keyPem), ALGORITHM, false, ['sign']);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: 'CN=sidero-apiserver',
    issuer: issuer.subject,
    ...validity(now, SERVER_DAYS),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey, false),
    ],
  });
  return { certPem: certificate.toString('pem'), keyPem: await privatePem(keys.privateKey) };
}

/** True when the certificate ends soon, is not signed by `authority`, or does not name all `hosts`. */
export async function needsRenewal({ certPem }: KeyPair, given: { authority: KeyPair; hosts: readonly string[]; now?: Date }): Promise<boolean> {
  const certificate = new x509.X509Certificate(certPem);
  const authority = new x509.X509Certificate(given.authority.certPem);
  if (endsSoon(certPem, given.now)) return true;
  if (!(await certificate.verify({ publicKey: authority.publicKey, signatureOnly: true }))) return true;
  const names =
    certificate
      .getExtension(x509.SubjectAlternativeNameExtension)
      ?.names.toJSON()
      .map(({ value }) => value) ?? [];
  return given.hosts.some((host) => !names.includes(host));
}

/** True when less than `RENEW_BEFORE_MS` is left. */
export function endsSoon(certPem: string, now = new Date()): boolean {
  return new x509.X509Certificate(certPem).notAfter.getTime() - now.getTime() < RENEW_BEFORE_MS;
}

// Starts a day back, for machines whose clock is behind.
function validity(now: Date, days: number) {
  return { notBefore: new Date(now.getTime() - DAY_MS), notAfter: new Date(now.getTime() + days * DAY_MS) };
}

function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  // Positive, and without leading zeros, whatever was drawn.
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}
