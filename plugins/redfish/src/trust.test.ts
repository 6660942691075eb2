// @peculiar/x509 needs it before it is loaded.
import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { type Secret, SideroError } from '@sidero/core';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { aDriver, aServerWith, signal } from './driver.fixture.ts';
import { FakeService, LOGIN } from './fake-service.fixture.ts';
import { CA_ANNOTATION, PIN_ANNOTATION, pinOf } from './trust.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

interface Wish {
  readonly name: string;
  readonly hosts?: readonly string[];
  readonly days?: number;
  readonly authority?: { readonly keys: webcrypto.CryptoKeyPair; readonly name: string };
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** A certificate; signed by itself when no authority is named. */
async function certified(keys: webcrypto.CryptoKeyPair, { name, hosts = ['127.0.0.1'], days = 2, authority }: Wish): Promise<KeyPair> {
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: `CN=${authority?.name ?? name}`,
    publicKey: keys.publicKey,
    signingKey: (authority?.keys ?? keys).privateKey,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - 10 * DAY_MS),
    notAfter: new Date(Date.now() + days * DAY_MS),
    extensions: [
      new x509.SubjectAlternativeNameExtension(hosts.map((value) => ({ type: 'ip', value }))),
      new x509.BasicConstraintsExtension(hosts.length === 0, undefined, true),
    ],
  });
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { key, cert: certificate.toString('pem') };
}

const fingerprintOf = ({ cert }: KeyPair) => new X509Certificate(cert).fingerprint256;

let authority: KeyPair;
let otherAuthority: KeyPair;
let good: KeyPair;
let expired: KeyPair;
let elsewhere: KeyPair;
let alone: KeyPair;
beforeAll(async () => {
  const [keys, otherKeys, leaf] = await Promise.all([makeKeys(), makeKeys(), makeKeys()]);
  const of = { keys, name: 'BMC CA' };
  authority = await certified(keys, { name: 'BMC CA', hosts: [] });
  otherAuthority = await certified(otherKeys, { name: 'another CA', hosts: [] });
  good = await certified(leaf, { name: 'BMC', authority: of });
  expired = await certified(leaf, { name: 'old BMC', days: -1, authority: of });
  elsewhere = await certified(leaf, { name: 'other BMC', hosts: ['10.1.2.3'], authority: of });
  alone = await certified(leaf, { name: 'self-made BMC' });
});

const stack: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of stack.splice(0).reverse()) await thing[Symbol.asyncDispose]();
});

/** The Secret of that name holds this CA. */
function secretsWith(name: string, pem: string, key = 'ca.crt') {
  const secret: Secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, data: { [key]: Buffer.from(pem).toString('base64') } };
  return { get: async (_: unknown, ref: { name: string }) => (ref.name === name ? secret : undefined) as never };
}

interface Opening {
  readonly annotations?: Record<string, string>;
  readonly options?: Parameters<typeof aDriver>[0];
}

async function reach(certificate: KeyPair, { annotations = {}, options = {} }: Opening = {}) {
  const service = await new FakeService(certificate).listen();
  stack.push(service);
  const server = aServerWith({ endpoint: '127.0.0.1', port: service.port }, { annotations });
  const outcome = await aDriver(options)
    .open(server, { login: LOGIN, signal })
    .catch((thrown: unknown) => thrown);
  if (!(outcome instanceof Error)) stack.push(outcome as AsyncDisposable);
  return { service, outcome, asked: service.asked.length };
}

const site = { caSecret: { namespace: 'default', name: 'site-ca', key: 'ca.crt' } };

describe('a service is trusted', () => {
  test('by the CA of the site', async () => {
    const { outcome } = await reach(good, { options: { ...site, resources: secretsWith('site-ca', authority.cert) } });
    expect(outcome).toMatchObject({ isOn: expect.any(Function) });
  });

  test('by the CA of the Server, which wins over that of the site', async () => {
    const annotations = { [CA_ANNOTATION]: 'default/own-ca' };
    const { outcome } = await reach(good, { annotations, options: { ...site, resources: secretsWith('own-ca', authority.cert) } });
    expect(outcome).toMatchObject({ isOn: expect.any(Function) });
    const wrong = await reach(good, { annotations, options: { ...site, resources: secretsWith('site-ca', authority.cert) } });
    expect(wrong.outcome).toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('default/own-ca') });
  });

  test('by its pin, however it is written, whoever signed it, whatever its dates and names', async () => {
    for (const certificate of [alone, expired, elsewhere]) {
      for (const pin of [fingerprintOf(certificate), fingerprintOf(certificate).replaceAll(':', '').toLowerCase()]) {
        const { outcome } = await reach(certificate, { annotations: { [PIN_ANNOTATION]: `sha256:${pin}` } });
        expect(outcome).toMatchObject({ isOn: expect.any(Function) });
      }
    }
  });
});

describe('a service is not trusted, and sees no request,', () => {
  const cases: Record<string, () => [KeyPair, Opening, string]> = {
    'without a CA': () => [good, {}, 'CN=BMC'],
    'that signed itself': () => [alone, {}, 'CN=self-made BMC'],
    'by another CA': () => [good, { options: { ...site, resources: secretsWith('site-ca', otherAuthority.cert) } }, 'site-ca'],
    'after its date': () => [expired, { options: { ...site, resources: secretsWith('site-ca', authority.cert) } }, 'CERT_HAS_EXPIRED'],
    'for another host': () => [elsewhere, { options: { ...site, resources: secretsWith('site-ca', authority.cert) } }, 'ALTNAME'],
    'with another pin': () => [good, { annotations: { [PIN_ANNOTATION]: `sha256:${'a'.repeat(64)}` } }, 'not the pinned one'],
    'with another pin, though its CA is right': () => [
      good,
      {
        annotations: { [PIN_ANNOTATION]: `sha256:${'a'.repeat(64)}`, [CA_ANNOTATION]: 'default/ca' },
        options: { resources: secretsWith('ca', authority.cert) },
      },
      'not the pinned one',
    ],
  };

  test.each(Object.keys(cases))('%s', async (name) => {
    const [certificate, opening, told] = cases[name]!();
    const { outcome, asked } = await reach(certificate, opening);
    expect(outcome).toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining(told) });
    expect(asked).toBe(0);
  });

  test('and the error shows what to pin', async () => {
    const { outcome } = await reach(expired);
    const fingerprint = fingerprintOf(expired).replaceAll(':', '').toLowerCase();
    const until = new X509Certificate(expired.cert).validTo;
    for (const told of ['CN=old BMC', until, `${PIN_ANNOTATION}=sha256:${fingerprint}`]) {
      expect(outcome instanceof SideroError && outcome.message).toContain(told);
    }
  });

  test.each<[string, Opening]>([
    ['a pin that is none', { annotations: { [PIN_ANNOTATION]: 'sha1:00' } }],
    ['an empty pin', { annotations: { [PIN_ANNOTATION]: '' } }],
    ['the name of no Secret', { annotations: { [CA_ANNOTATION]: 'ca' } }],
    ['a Secret that is not there', { options: site }],
    ['a Secret without certificate', { options: { ...site, resources: secretsWith('site-ca', 'rubbish') } }],
    ['a Secret with another key', { options: { ...site, resources: secretsWith('site-ca', 'rubbish', 'tls.crt') } }],
  ])('with %s', async (_, opening) => {
    const { outcome, asked } = await reach(good, opening);
    expect(outcome).toMatchObject({ code: 'SIDERO_BMC_FAULT' });
    expect(asked).toBe(0);
  });
});

test('plain HTTP is refused unless it is allowed, and nobody connects', async () => {
  const service = await new FakeService().listen();
  stack.push(service);
  const opened = aDriver({ allowPlainHttp: false }).open(aServerWith({ endpoint: service.url }), { login: LOGIN, signal });
  await expect(opened).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED', message: expect.stringContaining('allowPlainHttp') });
  expect(service.asked).toEqual([]);
});

test('a service that speaks no TLS where TLS is expected gets no request', async () => {
  const service = await new FakeService().listen();
  stack.push(service);
  const opened = aDriver().open(aServerWith({ endpoint: '127.0.0.1', port: service.port }), { login: LOGIN, signal });
  await expect(opened).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('TLS') });
  expect(service.asked).toEqual([]);
});

test.each(['', 'sha256:', 'sha256:00', `sha1:${'0'.repeat(64)}`, '0'.repeat(64), `sha256:${'g'.repeat(64)}`])('"%s" is no pin', (text) => {
  expect(pinOf(text)).toBeUndefined();
});
