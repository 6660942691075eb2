import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EnvHttpProxyAgent, fetch } from 'undici';
import {
  assetState,
  assetsOf,
  type Environment,
  type EnvironmentAsset,
  environmentFolder,
  failure,
  type FetchedFile,
  fetchRecordPath,
  type Logger,
  messageOf,
  readFetchRecord,
  type ServerEvent,
} from '../index.ts';

/** At most one progress event of a file in this time. */
const PROGRESS_INTERVAL_MS = 100;
const TEMPORARY = /^\..*\.part$/;

export interface FetcherOptions {
  readonly dataDir: string;
  readonly log: Logger;
  stream(event: ServerEvent): void;
  /** Silence of a web server that ends an attempt. */
  readonly stallMs: number;
  /** Files fetched at once. */
  readonly concurrency: number;
  /** First pause after a failure; doubles up to 5 min. */
  readonly retryMs: number;
  /** How often files that are there are looked at again. */
  readonly lookMs: number;
}

/** Keeps the files of Environments on this replica as their objects want them. */
export class EnvironmentFetcher implements AsyncDisposable {
  readonly #options: FetcherOptions;
  readonly #agent: EnvHttpProxyAgent;
  readonly #keepers = new Map<string, { readonly wanted: string; readonly stop: AbortController; readonly done: Promise<void> }>();
  readonly #turns: Turns;

  constructor(options: FetcherOptions) {
    this.#options = options;
    this.#turns = new Turns(options.concurrency);
    const { stallMs } = options;
    this.#agent = new EnvHttpProxyAgent({ connect: { timeout: Math.min(stallMs, 15_000) }, headersTimeout: stallMs, bodyTimeout: stallMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stop } of this.#keepers.values()) stop.abort();
    await Promise.all([...this.#keepers.values()].map(({ done }) => done));
    await this.#agent.destroy();
  }

  /** The object as it is now; what is under way for an older one is stopped. */
  keep(environment: Environment): void {
    const { name } = environment.metadata;
    const assets = assetsOf(environment);
    const wanted = JSON.stringify(assets);
    const known = this.#keepers.get(name);
    if (known?.wanted === wanted) return;
    this.#replace(name, wanted, (signal) => this.#keep(name, assets, signal));
  }

  /** The object is gone, and so are its files. */
  drop(name: string): void {
    this.#replace(name, '', async (signal) => {
      await rm(environmentFolder(this.#options.dataDir, name), { recursive: true, force: true });
      if (!signal.aborted) this.#keepers.delete(name);
    });
  }

  /** Removes the folders of Environments that no longer exist; only such that were fetched by us. */
  async clean(names: ReadonlySet<string>): Promise<void> {
    const { dataDir } = this.#options;
    const folders = await readdir(join(dataDir, 'env')).catch(() => []);
    for (const name of folders) {
      if (names.has(name)) continue;
      const isOurs = await stat(fetchRecordPath(dataDir, name)).catch(() => undefined);
      // An object of that name may have come meanwhile; one that comes from here on waits for the removal to end.
      if (isOurs && !this.#keepers.has(name)) this.drop(name);
    }
  }

  #replace(name: string, wanted: string, work: (signal: AbortSignal) => Promise<void>): void {
    const before = this.#keepers.get(name);
    before?.stop.abort();
    const stop = new AbortController();
    const done = (async () => {
      await before?.done;
      if (stop.signal.aborted) return;
      await work(stop.signal).catch((error: unknown) => {
        if (!stop.signal.aborted) this.#options.log.error({ environment: name, err: error }, 'files of the environment are not kept');
      });
    })();
    this.#keepers.set(name, { wanted, stop, done });
  }

  async #keep(name: string, assets: readonly EnvironmentAsset[], signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const isWhole = await this.#attempt(name, assets, signal);
      failures = isWhole ? 0 : failures + 1;
      const { lookMs, retryMs } = this.#options;
      const pauseMs = isWhole ? lookMs : Math.min(retryMs * 2 ** (failures - 1), 300_000) * (0.8 + 0.4 * Math.random());
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  // Fetches what is missing side by side, and puts all of it in place at once.
  async #attempt(name: string, assets: readonly EnvironmentAsset[], signal: AbortSignal): Promise<boolean> {
    const { dataDir } = this.#options;
    const folder = environmentFolder(dataDir, name);
    const states = await Promise.all(assets.map((asset) => assetState(dataDir, name, asset)));
    const missing = assets.filter((_, index) => !states[index]!.ready);
    if (missing.length === 0) return true;
    await mkdir(folder, { recursive: true });
    for (const file of await readdir(folder)) if (TEMPORARY.test(file)) await rm(join(folder, file));
    const results = await Promise.allSettled(missing.map((asset) => this.#turns.take(signal, () => this.#fetch(name, asset, signal))));
    if (signal.aborted) return false;
    const problems: Record<string, string> = {};
    const fetched: { readonly asset: EnvironmentAsset; readonly sha512: string }[] = [];
    for (const [index, result] of results.entries()) {
      const asset = missing[index]!;
      if (result.status === 'fulfilled') fetched.push({ asset, sha512: result.value });
      else problems[asset.file] = problemOf(result.reason);
    }
    await this.#settle(name, fetched, problems);
    return fetched.length === missing.length;
  }

  async #settle(
    name: string,
    fetched: readonly { readonly asset: EnvironmentAsset; readonly sha512: string }[],
    problems: Record<string, string>,
  ): Promise<void> {
    const { dataDir, log } = this.#options;
    const folder = environmentFolder(dataDir, name);
    const before = await readFetchRecord(dataDir, name);
    const files: Record<string, FetchedFile> = { ...before.files };
    for (const { asset } of fetched) await rename(join(folder, temporaryName(asset)), join(folder, asset.file));
    for (const { asset, sha512 } of fetched) {
      const { size: sizeBytes, mtimeMs: modifiedMs } = await stat(join(folder, asset.file));
      files[asset.file] = { url: asset.url, sha512, sizeBytes, modifiedMs };
      log.info({ environment: name, file: asset.file, sizeBytes, url: asset.url }, 'file of the environment is here');
    }
    for (const [file, problem] of Object.entries(problems)) {
      if (before.problems[file] !== problem) log.warn({ environment: name, file }, `file of the environment ${problem}`);
    }
    const record = fetchRecordPath(dataDir, name);
    await writeFile(`${record}.new`, `${JSON.stringify({ files, problems }, null, 2)}\n`, { flush: true });
    await rename(`${record}.new`, record);
  }

  // Returns the digest of what lies in the temporary file now.
  async #fetch(name: string, asset: EnvironmentAsset, signal: AbortSignal): Promise<string> {
    const tell = this.#progress(name, asset);
    try {
      const path = join(environmentFolder(this.#options.dataDir, name), temporaryName(asset));
      await using file = await open(path, 'w', 0o644);
      const sha512 = await this.#receive(asset, { file, signal, tell });
      await file.sync();
      tell('done');
      return sha512;
    } catch (error) {
      if (!signal.aborted) tell('failed', problemOf(error));
      throw error;
    }
  }

  async #receive(asset: EnvironmentAsset, to: { readonly file: FileHandle; readonly signal: AbortSignal; readonly tell: Progress }): Promise<string> {
    const { url, sha512 } = asset;
    const refuse = (problem: string) => failure('SIDERO_ENVIRONMENT_FETCH_FAILED', { file: asset.file, url, problem });
    if (!url) throw refuse('has no URL');
    if (!/^https?:\/\//i.test(url)) throw refuse(`is at ${url}, which is neither http nor https`);
    // Compressed on the way, the length would be another one than that of the file.
    const response = await fetch(url, {
      dispatcher: this.#agent,
      signal: to.signal,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'sidero' },
    });
    if (!response.ok || !response.body) throw refuse(`could not be fetched: ${url} answers ${response.status}`);
    const length = response.headers.get('content-length');
    const digest = createHash('sha512');
    let receivedBytes = 0;
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      digest.update(chunk);
      await to.file.writeFile(chunk);
      receivedBytes += chunk.length;
      to.tell('running', undefined, { receivedBytes, totalBytes: length === null ? undefined : Number(length) });
    }
    const found = digest.digest('hex');
    if (sha512 !== '' && sha512 !== found) throw refuse(`from ${url} has the SHA-512 digest ${short(found)}, not ${short(sha512)}`);
    return found;
  }

  #progress(name: string, { file }: EnvironmentAsset): Progress {
    let last: Received = { receivedBytes: 0, totalBytes: undefined };
    let toldMs = Number.NEGATIVE_INFINITY;
    return (state, detail, received) => {
      last = received ?? last;
      const nowMs = performance.now();
      if (state === 'running' && nowMs - toldMs < PROGRESS_INTERVAL_MS) return;
      toldMs = nowMs;
      this.#options.stream({ type: 'environment', name, file, ...last, state, ...(detail && { detail }), at: new Date() });
    };
  }
}

interface Received {
  readonly receivedBytes: number;
  readonly totalBytes: number | undefined;
}

type Progress = (state: 'running' | 'done' | 'failed', detail?: string, received?: Received) => void;

/** Lets a number of tasks run at once, the others wait in the order in which they came. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async take<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#free -= 1;
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

function temporaryName({ file }: EnvironmentAsset): string {
  return `.${file}.part`;
}

// The deepest cause says what happened: undici's outermost is only "fetch failed".
function problemOf(thrown: unknown): string {
  let cause = thrown;
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause;
  const { code, details } = cause as { code?: string; details?: { problem?: string } };
  if (details?.problem) return details.problem;
  if (code === 'UND_ERR_BODY_TIMEOUT' || code === 'UND_ERR_HEADERS_TIMEOUT') return 'could not be fetched: the web server fell silent';
  return `could not be fetched: ${messageOf(cause)}`;
}

function short(digest: string): string {
  return digest.length > 20 ? `${digest.slice(0, 16)}…` : digest;
}
