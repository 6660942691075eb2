// @peculiar/x509 needs it before it is loaded.
import 'reflect-metadata';
// @peculiar/x509 does not load without it.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { PemConverter, X509CertificateGenerator } from '@peculiar/x509';

const YEAR_MS = 365 * 86_400_000;

/** A certificate for a listener nobody verifies, made anew at each start: P-256, ten years. PEM. */
export async function selfSigned(name: string): Promise<{ key: string; cert: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      keys: keys as never,
      signingAlgorithm: algorithm,
      notBefore: new Date(now - 3_600_000),
      notAfter: new Date(now + 10 * YEAR_MS),
    },
    webcrypto as never,
  );
  const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { key, cert: certificate.toString('pem') };
}
