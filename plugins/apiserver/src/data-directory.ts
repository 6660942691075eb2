import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endsSoon, type KeyPair, makeAuthority, makeServerCertificate, needsRenewal } from './certificates.ts';
import { failure } from './errors.ts';
import { Store } from './store.ts';

/** Who we are to clients: kept, so that a kubeconfig stays valid over restarts. */
export interface Identity {
  readonly authority: KeyPair;
  readonly server: KeyPair;
  readonly token: string;
}

/** The folder `<dataDir>/api`: database, keys, token, port; everything readable by its owner only. */
export class DataDirectory {
  readonly path: string;
  readonly #dataDir: string;

  /** Makes the folder. @throws SIDERO_APISERVER_DATA_UNREADABLE */
  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.path = join(dataDir, 'api');
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw failure('SIDERO_APISERVER_DATA_UNREADABLE', { path: this.path, cause });
    }
  }

  /** Opens the database and with it takes the folder. @throws SIDERO_APISERVER_DATA_IN_USE, SIDERO_APISERVER_DATA_UNREADABLE */
  openStore(): Store {
    const path = join(this.path, 'objects.sqlite');
    try {
      const store = new Store(path);
      chmodSync(path, 0o600);
      this.#write('pid', String(process.pid));
      return store;
    } catch (cause) {
      if (isLocked(cause))
        throw failure('SIDERO_APISERVER_DATA_IN_USE', { directory: this.path, pid: `pid ${this.#read('pid') ?? 'unknown'}`, cause });
      throw failure('SIDERO_APISERVER_DATA_UNREADABLE', { path, cause });
    }
  }

  /** Reads the identity; makes what is missing, renews what ends soon or does not name all `hosts`. */
  async identity(hosts: readonly string[]): Promise<Identity> {
    const authority = await this.#pair('ca', async (known) => (known && !endsSoon(known.certPem) ? known : makeAuthority()));
    const server = await this.serverCertificate(authority, hosts);
    const known = this.#read('token');
    const token = known && known.length >= 32 ? known : newToken();
    if (token !== known) this.#write('token', token);
    return { authority, server, token };
  }

  /** The certificate in use, or a new one when it ends soon or does not name all `hosts`. */
  serverCertificate(authority: KeyPair, hosts: readonly string[]): Promise<KeyPair> {
    return this.#pair('server', async (known) =>
      known && !(await needsRenewal(known, { authority, hosts })) ? known : makeServerCertificate(authority, hosts),
    );
  }

  /** The port of the last run. */
  get port(): number | undefined {
    const port = Number(this.#read('port'));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
  }

  set port(port: number) {
    this.#write('port', String(port));
  }

  /** Writes `<dataDir>/kubeconfig`. Returns its path. */
  writeKubeconfig(text: string): string {
    const path = join(this.#dataDir, 'kubeconfig');
    this.#replace(path, text);
    return path;
  }

  async #pair(name: string, renew: (known: KeyPair | undefined) => Promise<KeyPair>): Promise<KeyPair> {
    const [certPem, keyPem] = [this.#read(`${name}.crt`), this.#read(`${name}.key`)];
    const known = certPem && keyPem ? { certPem, keyPem } : undefined;
    const pair = await renew(known).catch((cause: unknown) => {
      throw failure('SIDERO_APISERVER_DATA_UNREADABLE', { path: join(this.path, `${name}.crt`), cause });
    });
    if (pair === known) return pair;
    this.#write(`${name}.key`, pair.keyPem);
    this.#write(`${name}.crt`, pair.certPem);
    return pair;
  }

  #read(name: string): string | undefined {
    try {
      return readFileSync(join(this.path, name), 'utf8').trim();
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw failure('SIDERO_APISERVER_DATA_UNREADABLE', { path: join(this.path, name), cause });
    }
  }

  #write(name: string, text: string): void {
    this.#replace(join(this.path, name), `${text}\n`);
  }

  // Through a file of its own, so that a reader never sees half of it.
  #replace(path: string, text: string): void {
    const fresh = `${path}.new`;
    try {
      rmSync(fresh, { force: true });
      writeFileSync(fresh, text, { mode: 0o600, flag: 'wx' });
      renameSync(fresh, path);
    } catch (cause) {
      throw failure('SIDERO_APISERVER_DATA_UNREADABLE', { path, cause });
    }
  }
}

// SQLITE_BUSY and SQLITE_LOCKED, with their extended codes.
function isLocked(error: unknown): boolean {
  const code = Number((error as { errcode?: unknown }).errcode) & 0xff;
  return code === 5 || code === 6;
}

/** 256 random bits as text. */
function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** An identity that lives as long as the process. */
export async function passingIdentity(hosts: readonly string[]): Promise<Identity> {
  const authority = await makeAuthority();
  return { authority, server: await makeServerCertificate(authority, hosts), token: newToken() };
}
