import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { dump, load } from 'js-yaml';
import type { Provider } from './parts.ts';

const ROOT = join(import.meta.dirname, '../../..');
const FILES = { CoreProvider: 'core', BootstrapProvider: 'bootstrap', ControlPlaneProvider: 'control-plane' } as const;
const CERT_MANAGER = 'v1.17.0';

/** A provider, and the objects that `clusterctl init` installs of it. */
export interface Offer {
  readonly provider: Provider;
  readonly objects: readonly object[];
}

interface Entry {
  readonly name: string;
  readonly type: string;
  readonly url: string;
}

/** What writes a repository. */
export interface RepositoryOptions {
  readonly offers: readonly Offer[];
  /** Values that the configuration gives to the variables of templates. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Beside ours: releases of Sidero by version, as objects. */
  readonly siderosOfOthers?: Readonly<Record<string, readonly object[]>>;
}

/**
 * A folder that clusterctl takes providers from: ours as `sidero manifests --bundle` writes it, the others' kinds, and kinds in place of cert-manager.
 * Gives the path of a configuration of clusterctl that names it.
 */
export async function writeRepository(folder: string, options: RepositoryOptions): Promise<string> {
  const [ours, ...others] = await Promise.all([writeOurs(folder), ...options.offers.map((offer) => writeOffer(folder, offer))]);
  const certManager = await writeCertManager(folder);
  for (const [version, objects] of Object.entries(options.siderosOfOthers ?? {})) {
    await writeRelease(join(folder, 'infrastructure-sidero', version), 'infrastructure-components.yaml', { version, contract: 'v1beta1', objects });
  }
  const file = join(folder, 'clusterctl.yaml');
  await writeFile(file, dump({ providers: [ours, ...others], 'cert-manager': { url: certManager, version: CERT_MANAGER }, ...options.variables }));
  return file;
}

async function writeOurs(folder: string): Promise<Entry> {
  const sidero = ['--conditions=source', join(ROOT, 'core/bin/sidero.js'), '--config', join(ROOT, 'sidero.config.ts')];
  const { stdout } = await promisify(execFile)(process.execPath, [...sidero, 'manifests', '--bundle', folder]);
  return (load(stdout) as { providers: [Entry] }).providers[0];
}

async function writeOffer(folder: string, { provider, objects }: Offer): Promise<Entry> {
  const { label, name, type, version, contract } = provider;
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `${label}-system` } };
  const url = await writeRelease(join(folder, label, version), `${FILES[type]}-components.yaml`, {
    version,
    contract,
    objects: [namespace, ...objects],
  });
  return { name, type, url };
}

interface Release {
  readonly version: string;
  readonly contract: string;
  readonly objects: readonly object[];
}

async function writeRelease(folder: string, file: string, { version, contract, objects }: Release): Promise<string> {
  await mkdir(folder, { recursive: true });
  const [major, minor] = version.slice(1).split('.').map(Number);
  const metadata = { apiVersion: 'clusterctl.cluster.x-k8s.io/v1alpha3', kind: 'Metadata', releaseSeries: [{ major, minor, contract }] };
  await writeFile(join(folder, 'metadata.yaml'), dump(metadata));
  await writeFile(join(folder, file), objects.map((object) => dump(object, { noRefs: true })).join('---\n'));
  return pathToFileURL(join(folder, file)).href;
}

/** Kinds without anybody behind them: nothing runs in pods here, and the tests do what cert-manager would. */
async function writeCertManager(folder: string): Promise<string> {
  const objects = [definition('Certificate', 'certificates'), definition('Issuer', 'issuers')];
  return writeRelease(join(folder, 'cert-manager', CERT_MANAGER), 'cert-manager.yaml', { version: CERT_MANAGER, contract: 'none', objects });
}

function definition(kind: string, plural: string): object {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const group = 'cert-manager.io';
  const names = { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: { group, names, scope: 'Namespaced', versions: [{ name: 'v1', served: true, storage: true, schema }] },
  };
}
