import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeAuthority, makeServerCertificate, needsRenewal } from './certificates.ts';

const HOSTS = ['127.0.0.1', '::1', 'localhost'];
const DAY_MS = 24 * 60 * 60 * 1000;

test('a server certificate is signed by its authority and names every host', async () => {
  const authority = await makeAuthority();
  const { certPem } = await makeServerCertificate(authority, HOSTS);
  const certificate = new X509Certificate(certPem);
  expect(certificate.verify(new X509Certificate(authority.certPem).publicKey)).toBe(true);
  expect([certificate.checkIP('127.0.0.1'), certificate.checkIP('::1'), certificate.checkHost('localhost')]).toEqual([
    '127.0.0.1',
    '::1',
    'localhost',
  ]);
});

test('it is renewed near its end, for another host, and under another authority', async () => {
  const authority = await makeAuthority();
  const pair = await makeServerCertificate(authority, HOSTS);
  expect(await needsRenewal(pair, { authority, hosts: HOSTS })).toBe(false);
  expect(await needsRenewal(pair, { authority, hosts: HOSTS, now: new Date(Date.now() + 310 * DAY_MS) })).toBe(true);
  expect(await needsRenewal(pair, { authority, hosts: [...HOSTS, '10.0.0.1'] })).toBe(true);
  expect(await needsRenewal(pair, { authority: await makeAuthority(), hosts: HOSTS })).toBe(true);
});
