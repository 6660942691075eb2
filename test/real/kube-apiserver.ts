import 'reflect-metadata';
import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, randomBytes, type webcrypto } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import type { CustomResource } from '@sidero/core';
import * as x509 from '@peculiar/x509';
import { Agent, fetch } from 'undici';
import { freePorts } from '@sidero/testing';
import { ensureKubernetesParts, type KubernetesParts } from './kubernetes-parts.ts';
import { type Program, startProgram, untilReady } from './program.ts';

export { ensureKubernetesParts, KUBERNETES_VERSION, testCache } from './kubernetes-parts.ts';

const SERVED_TIMEOUT_MS = 60_000;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' };

/** Result of one kubectl call. */
export interface KubectlResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** A real kube-apiserver on a real etcd, on loopback, with temporary data. */
export interface RealKubeApi {
  readonly url: string;
  /** PEM of the CA that signed its certificate. */
  readonly ca: string;
  /** cluster-admin by bearer token; `kubeConfig` has the same rights by client certificate. */
  readonly token: string;
  readonly kubeConfig: KubeConfig;
  readonly kubeconfigPath: string;
  /** Runs kubectl against it; never rejects for an exit code. */
  kubectl(args: readonly string[], input?: string): Promise<KubectlResult>;
  /** kill -9 of the API server; etcd stays. */
  kill(): Promise<void>;
  /** Starts the API server again on the same port and waits until it is ready. */
  restart(): Promise<void>;
  /** Compacts etcd up to now, so that older resource versions are gone (410). */
  compact(): Promise<void>;
  close(): Promise<void>;
}

interface Layout {
  readonly folder: string;
  readonly parts: KubernetesParts;
  readonly etcdPort: number;
  readonly peerPort: number;
  readonly port: number;
  readonly flags: Readonly<Record<string, string>>;
}

interface Credentials {
  readonly ca: string;
  readonly clientCert: string;
  readonly clientKey: string;
  readonly token: string;
}

/** A CA that signs certificates of servers and clients. */
export interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

/** What an API server may be started with. */
export interface KubeApiOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: a CA of its own. */
  readonly authority?: Authority;
  /** More flags of kube-apiserver, without their dashes. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** Starts etcd and kube-apiserver; ready in about 5 s. `close` ends both and removes their data. */
export async function startKubeApiServer(given: KubeApiOptions = {}): Promise<RealKubeApi> {
  const parts = await ensureKubernetesParts();
  const [etcdPort = 0, peerPort = 0, freePort = 0] = await freePorts(3);
  const port = given.port ?? freePort;
  const layout: Layout = { folder: await mkdtemp(join(tmpdir(), 'sidero-kube-')), parts, etcdPort, peerPort, port, flags: given.flags ?? {} };
  const credentials = await writeCredentials(layout.folder, given.authority ?? (await newAuthority()));
  const etcd = await startEtcd(layout);
  let server = await startServer(layout, credentials);
  const kubeConfig = kubeConfigOf(layout, credentials);
  const kubeconfigPath = join(layout.folder, 'kubeconfig');
  await writeFile(kubeconfigPath, kubeConfig.exportConfig(), { mode: 0o600 });
  return {
    url: `https://127.0.0.1:${port}`,
    ca: credentials.ca,
    token: credentials.token,
    kubeConfig,
    kubeconfigPath,
    kubectl: (args, input) => kubectl(layout, args, input),
    kill: () => server.kill(),
    restart: async () => {
      await server.kill();
      server = await startServer(layout, credentials);
    },
    compact: () => compact(etcdPort),
    close: async () => {
      await Promise.all([server.kill(), etcd.kill()]);
      await rm(layout.folder, { recursive: true, force: true });
    },
  };
}

/** Applies the definitions of kinds, without the webhooks that convert and validate, and waits until they are served. */
export async function installKinds(api: RealKubeApi, kinds: readonly CustomResource[]): Promise<void> {
  const items = kinds.map(({ definition }) => ({ ...definition, spec: { ...definition.spec, conversion: { strategy: 'None' } } }));
  await succeed(api, ['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await untilServed(api);
}

/**
 * Waits until all kinds that are defined can be found, and their objects be listed. The API server says that they are established a moment before that:
 * till then it answers 404 or 429, and kubectl finds no such kind.
 */
export async function untilServed(api: RealKubeApi): Promise<void> {
  await succeed(api, ['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  const dispatcher = new Agent({ connect: { ca: api.ca } });
  const read = async (path: string) => {
    const answer = await fetch(`${api.url}/apis/${path}`, { dispatcher, headers: { authorization: `Bearer ${api.token}` } });
    return answer.ok ? await answer.json() : void (await answer.text());
  };
  const isServed = async ({ spec }: CustomResource['definition']): Promise<boolean> => {
    const version = `${spec.group}/${spec.versions.find(({ storage }) => storage)!.name}`;
    const found = (await read(version)) as { resources: { name: string }[] } | undefined;
    const isFound = found?.resources.some(({ name }) => name === spec.names.plural) ?? false;
    return isFound && (await read(`${version}/${spec.names.plural}?limit=1`)) !== undefined;
  };
  try {
    const { items } = (await read('apiextensions.k8s.io/v1/customresourcedefinitions')) as { items: CustomResource['definition'][] };
    const deadline = Date.now() + SERVED_TIMEOUT_MS;
    for (const definition of items) {
      while (!(await isServed(definition))) {
        if (Date.now() > deadline) throw new Error(`${definition.metadata.name} is established, and not served after ${SERVED_TIMEOUT_MS} ms`);
        await delay(20);
      }
    }
  } finally {
    await dispatcher.close();
  }
}

async function succeed(api: RealKubeApi, args: readonly string[], input?: string): Promise<void> {
  const { code, stderr } = await api.kubectl(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
}

async function issue(name: { subject: string; issuer: x509.X509Certificate; signingKey: webcrypto.CryptoKey; extensions: x509.Extension[] }) {
  const keys = await crypto.subtle.generateKey(SIGNING, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(8).toString('hex').replace(/^./, '1'),
    subject: name.subject,
    issuer: name.issuer.subject,
    publicKey: keys.publicKey,
    signingKey: name.signingKey,
    signingAlgorithm: SIGNING,
    ...validity(),
    extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true), ...name.extensions],
  });
  return {
    certificate: certificate.toString('pem'),
    key: x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
  };
}

function validity() {
  return { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) };
}

/** The authority whose certificate and private key, of an elliptic curve P-256, are given as PEM. */
export async function readAuthority({ certificate, key }: { readonly certificate: string; readonly key: string }): Promise<Authority> {
  const pkcs8 = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' });
  return {
    certificate: new x509.X509Certificate(certificate),
    key: await crypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), SIGNING, false, ['sign']),
  };
}

async function newAuthority(): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(SIGNING, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=sidero-test-ca',
    keys,
    signingAlgorithm: SIGNING,
    ...validity(),
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
  });
  return { certificate, key: keys.privateKey };
}

async function writeCredentials(folder: string, authority: Authority): Promise<Credentials> {
  const issuer = { issuer: authority.certificate, signingKey: authority.key };
  const serverNames = new x509.SubjectAlternativeNameExtension([
    { type: 'ip', value: '127.0.0.1' },
    { type: 'dns', value: 'localhost' },
  ]);
  const serving = await issue({
    ...issuer,
    subject: 'CN=kube-apiserver',
    extensions: [serverNames, new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])],
  });
  const client = await issue({
    ...issuer,
    subject: 'CN=sidero-test,O=system:masters',
    extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
  });
  const token = randomBytes(16).toString('hex');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files = {
    'ca.crt': authority.certificate.toString('pem'),
    'serving.crt': serving.certificate,
    'serving.key': serving.key,
    'service-account.key': privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
    'tokens.csv': `${token},sidero-test,1,"system:masters"\n`,
  };
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text, { mode: 0o600 })));
  return { ca: files['ca.crt'], clientCert: client.certificate, clientKey: client.key, token };
}

function kubeConfigOf({ port }: Layout, { ca, clientCert, clientKey }: Credentials): KubeConfig {
  const config = new KubeConfig();
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  config.loadFromClusterAndUser(
    { name: 'sidero-test', server: `https://127.0.0.1:${port}`, caData: base64(ca), skipTLSVerify: false },
    { name: 'sidero-test', certData: base64(clientCert), keyData: base64(clientKey) },
  );
  return config;
}

function startEtcd({ folder, parts, etcdPort, peerPort }: Layout): Promise<Program> {
  const client = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const flags = {
    name: 'test',
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `test=${peer}`,
    'log-level': 'error',
  };
  const args = [...Object.entries(flags).map(([name, value]) => `--${name}=${value}`), '--unsafe-no-fsync'];
  return untilReady(startProgram(parts.etcd, args), 'etcd', async () => (await fetch(`${client}/health`)).ok);
}

async function startServer({ folder, parts, etcdPort, port, flags: more }: Layout, { ca, token }: Credentials): Promise<Program> {
  const flags = {
    'etcd-servers': `http://127.0.0.1:${etcdPort}`,
    'bind-address': '127.0.0.1',
    'advertise-address': '127.0.0.1',
    'secure-port': port,
    'tls-cert-file': join(folder, 'serving.crt'),
    'tls-private-key-file': join(folder, 'serving.key'),
    'client-ca-file': join(folder, 'ca.crt'),
    'token-auth-file': join(folder, 'tokens.csv'),
    'service-account-issuer': 'https://sidero-test',
    'service-account-key-file': join(folder, 'service-account.key'),
    'service-account-signing-key-file': join(folder, 'service-account.key'),
    'service-cluster-ip-range': '10.0.0.0/24',
    'authorization-mode': 'RBAC',
    'endpoint-reconciler-type': 'none',
    'disable-admission-plugins': 'ServiceAccount',
    'allow-privileged': true,
    'shutdown-delay-duration': '0s',
    ...more,
  };
  const program = startProgram(
    parts.apiServer,
    Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
  );
  const agent = new Agent({ connect: { ca } });
  try {
    const headers = { authorization: `Bearer ${token}` };
    return await untilReady(
      program,
      'kube-apiserver',
      async () => (await fetch(`https://127.0.0.1:${port}/readyz`, { dispatcher: agent, headers })).ok,
    );
  } finally {
    await agent.close();
  }
}

async function compact(etcdPort: number): Promise<void> {
  const call = async (path: string, body: object) => {
    const answer = await fetch(`http://127.0.0.1:${etcdPort}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { header: { revision: string } };
  };
  const { header } = await call('kv/range', { key: Buffer.from('\0').toString('base64'), limit: 1 });
  await call('kv/compaction', { revision: header.revision, physical: true });
}

function kubectl({ folder, parts }: Layout, args: readonly string[], input = ''): Promise<KubectlResult> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, KUBECONFIG: join(folder, 'kubeconfig'), HOME: folder };
    const child = spawn(parts.kubectl, [...args], { env, stdio: 'pipe' });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        said[stream] += text;
      });
    }
    child.stdin.on('error', () => {}).end(input);
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...said, code: code ?? -1 }));
  });
}
