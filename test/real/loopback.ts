import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

const SIGNING = { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' };

/** Writes tls.crt and tls.key for 127.0.0.1, as cert-manager would; gives the PEM of what to trust. */
export async function writeCertificate(folder: string): Promise<string> {
  const keys = await crypto.subtle.generateKey(SIGNING, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(8).toString('hex').replace(/^./, '1'),
    name: 'CN=webhook-service.system.svc',
    keys,
    signingAlgorithm: SIGNING,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
      new x509.BasicConstraintsExtension(true, undefined, true),
    ],
  });
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  const cert = certificate.toString('pem');
  await Promise.all([writeFile(join(folder, 'tls.key'), key, { mode: 0o600 }), writeFile(join(folder, 'tls.crt'), cert)]);
  return cert;
}
