import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from '../resources/kinds.ts';
import type { LocalCopy } from './boot-choice.ts';

/** A file of an Environment, as `/env` serves it. */
export interface EnvironmentAsset {
  readonly file: 'vmlinuz' | 'initramfs.xz';
  /** Empty when the Environment says none. */
  readonly url: string;
  /** Wanted digest in lower-case hex; empty for any. */
  readonly sha512: string;
}

/** What lies beside the files of an Environment and says where they came from. */
export interface FetchRecord {
  readonly files: Readonly<Record<string, FetchedFile>>;
  /** Why a file could not be fetched, as a sentence without a full stop. */
  readonly problems: Readonly<Record<string, string>>;
}

export interface FetchedFile {
  readonly url: string;
  /** Digest of what was received. */
  readonly sha512: string;
  readonly sizeBytes: number;
  /** Modification time of the file, which tells when somebody else has written it. */
  readonly modifiedMs: number;
}

/** Folder that `/env/<name>/` serves on this replica. */
export function environmentFolder(dataDir: string, name: string): string {
  return join(dataDir, 'env', name);
}

/** The record's file; begins with a dot, so that it is not served. */
export function fetchRecordPath(dataDir: string, name: string): string {
  return join(environmentFolder(dataDir, name), '.fetched.json');
}

/** The files an Environment is made of; none when it has no URL at all. */
export function assetsOf({ spec }: Environment): readonly EnvironmentAsset[] {
  const sources = [
    { file: 'vmlinuz' as const, from: spec?.kernel },
    { file: 'initramfs.xz' as const, from: spec?.initrd },
  ];
  if (sources.every(({ from }) => !from?.url)) return [];
  return sources.map(({ file, from }) => ({ file, url: from?.url ?? '', sha512: (from?.sha512 ?? '').toLowerCase() }));
}

/** The record; empty when there is none, or none that can be read: then everything is fetched anew. */
export async function readFetchRecord(dataDir: string, name: string): Promise<FetchRecord> {
  const none: FetchRecord = { files: {}, problems: {} };
  try {
    return { ...none, ...(JSON.parse(await readFile(fetchRecordPath(dataDir, name), 'utf8')) as FetchRecord) };
  } catch {
    return none;
  }
}

/** Whether one file is here as the Environment wants it. */
export async function assetState(dataDir: string, name: string, asset: EnvironmentAsset): Promise<LocalCopy> {
  const { files, problems } = await readFetchRecord(dataDir, name);
  const fetched = files[asset.file];
  const isWanted = fetched !== undefined && fetched.url === asset.url && (asset.sha512 === '' || asset.sha512 === fetched.sha512);
  if (!isWanted) return { ready: false, reason: problems[asset.file] ?? 'is being fetched' };
  const found = await stat(join(environmentFolder(dataDir, name), asset.file)).catch(() => undefined);
  const isSame = found?.isFile() && found.size === fetched.sizeBytes && found.mtimeMs === fetched.modifiedMs;
  return isSame ? { ready: true } : { ready: false, reason: 'is gone, or was changed by somebody else; it is fetched again' };
}

/** Whether all files of an Environment are whole on this replica. */
export async function localCopy(dataDir: string, environment: Environment): Promise<LocalCopy> {
  for (const asset of assetsOf(environment)) {
    const state = await assetState(dataDir, environment.metadata.name, asset);
    if (!state.ready) return { ready: false, reason: `${asset.file} ${state.reason}` };
  }
  return { ready: true };
}

/** Tells whether the agent's files are on this replica; `environment` is `agent-amd64` or `agent-arm64`. Files that were there once are not looked for again. */
export function createAgentCopy(dataDir: string): (environment: string) => Promise<LocalCopy> {
  const found = new Set<string>();
  return async (environment) => {
    if (found.has(environment)) return { ready: true };
    const folder = environmentFolder(dataDir, environment);
    const sizes = await Promise.all(['vmlinuz', 'initramfs.xz'].map((file) => stat(join(folder, file)).catch(() => undefined)));
    if (!sizes.every((file) => file?.isFile()))
      return { ready: false, reason: `the agent's files are not in ${folder}; "npm run build:agent" makes them` };
    found.add(environment);
    return { ready: true };
  };
}
