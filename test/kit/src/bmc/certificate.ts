import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '../qemu/child.ts';

/** A certificate that signs itself, as BMCs bring it, and its key: files, and the certificate as text (PEM). */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly pem: string;
}

/** Makes one for 127.0.0.1 and localhost, good for two days, in `dir`. */
export async function makeCertificate(dir: string): Promise<Certificate> {
  const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const request = ['-subj', '/CN=simulated BMC', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-days', '2', '-nodes'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  await runChild(['openssl', 'req', '-x509', ...key, ...request, '-keyout', keyFile, '-out', certFile]);
  return { certFile, keyFile, pem: await readFile(certFile, 'utf8') };
}
