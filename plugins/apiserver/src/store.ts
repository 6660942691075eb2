import { closeSync, fdatasync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { failure } from './errors.ts';
import type { ApiObject } from './object.ts';

/** Where an object is kept. `resource` is `<plural>.<group>`, or `<plural>` in the core group; `namespace` is empty for cluster scope. */
export interface Key {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

/** A stored object; `json` is in the storage version and carries its resourceVersion. */
export interface Row extends Key {
  readonly uid: string;
  readonly revision: number;
  readonly json: string;
}

/** A committed write. `json` of a removal is the last state, with the revision of the removal. */
export interface Change extends Key {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  readonly json: string;
  /** What was there before. */
  readonly previous: string | undefined;
}

/** Which rows `list` gives, in order of namespace and name. */
export interface Range {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  /** Rows after this one. */
  readonly after?: { readonly namespace: string; readonly name: string } | undefined;
  readonly limit?: number | undefined;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    uid TEXT NOT NULL, revision INTEGER NOT NULL, expires INTEGER, json TEXT NOT NULL
  );
  CREATE UNIQUE INDEX IF NOT EXISTS objects_key ON objects (resource, namespace, name);
  CREATE INDEX IF NOT EXISTS objects_uid ON objects (uid);
  CREATE INDEX IF NOT EXISTS objects_expires ON objects (expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS owners (owner TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (owner, resource, namespace, name)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
`;

const COLUMNS = 'resource, namespace, name, uid, revision, json';

/** Writes that are committed, or made durable, together. */
interface Group {
  readonly changes: Change[];
  readonly committed: PromiseWithResolvers<void>;
  readonly durable: PromiseWithResolvers<void>;
}

const syncFile = promisify(fdatasync);
/** SQLite's result code. */
const SQLITE_FULL = 13;

/**
 * Objects on SQLite. Calls are synchronous and see each other. Writes of one turn of the event loop share a transaction;
 * transactions that are committed while the disk is busy share one flush, which does not block the loop. A write counts,
 * and is told to `onCommit`, once it is flushed: it then survives the end of the process and a power cut.
 */
export class Store {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #revision: number;
  /** What is being written in this turn. */
  #open: Group | undefined;
  /** Committed, and not on the disk yet. */
  #unflushed: Group[] = [];
  #isFlushing = false;
  /** The write-ahead log, for flushing it; undefined in memory. */
  #log: number | undefined;
  #onCommit: (changes: readonly Change[]) => void = () => {};

  /** `path` is a file, or `:memory:`. Throws SQLite's error when it cannot be opened or is held by another process. */
  constructor(path: string) {
    this.#path = path;
    this.#database = new DatabaseSync(path);
    try {
      // The exclusive mode holds the file's lock until close or the end of the process, so a second one is told at once.
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; COMMIT;');
      this.#database.exec(SCHEMA);
      this.#revision = Number(this.meta('revision') ?? '1');
      if (path !== ':memory:') this.#log = openSync(`${path}-wal`, 'r+');
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** The revision of the latest write. */
  get revision(): number {
    return this.#revision;
  }

  onCommit(listener: (changes: readonly Change[]) => void): void {
    this.#onCommit = listener;
  }

  get(key: Key): Row | undefined {
    return this.#sql(`SELECT ${COLUMNS} FROM objects WHERE resource = ? AND namespace = ? AND name = ?`).get(key.resource, key.namespace, key.name) as
      | Row
      | undefined;
  }

  byUid(uid: string): Row | undefined {
    return this.#sql(`SELECT ${COLUMNS} FROM objects WHERE uid = ?`).get(uid) as Row | undefined;
  }

  list(resource: string, range: Range = {}): Row[] {
    const { where, values } = conditions(resource, range);
    return this.#sql(`SELECT ${COLUMNS} FROM objects WHERE ${where} ORDER BY namespace, name LIMIT ?`).all(
      ...values,
      range.limit ?? -1,
    ) as unknown as Row[];
  }

  count(resource: string, range: Range = {}): number {
    const { where, values } = conditions(resource, range);
    return (this.#sql(`SELECT count(*) AS n FROM objects WHERE ${where}`).get(...values) as { n: number }).n;
  }

  /** Every object that names `uid` as an owner. */
  dependents(uid: string): Key[] {
    return this.#sql('SELECT resource, namespace, name FROM owners WHERE owner = ?').all(uid) as unknown as Key[];
  }

  /** Objects in a namespace, of every resource. */
  inNamespace(namespace: string): Key[] {
    return this.#sql('SELECT resource, namespace, name FROM objects WHERE namespace = ?').all(namespace) as unknown as Key[];
  }

  /** Objects that have owners or whose deletion was asked for. */
  deletedOrOwned(): Key[] {
    return this.#sql(
      `SELECT resource, namespace, name FROM objects WHERE json_extract(json, '$.metadata.deletionTimestamp') IS NOT NULL
       UNION SELECT resource, namespace, name FROM owners`,
    ).all() as unknown as Key[];
  }

  /** Objects whose time is over. */
  expiredAt(nowMs: number): Key[] {
    return this.#sql('SELECT resource, namespace, name FROM objects WHERE expires <= ?').all(nowMs) as unknown as Key[];
  }

  /** Inserts or replaces; stamps the next revision into `object`. `expires` is in ms since the epoch. Gives the text that is stored. */
  put(key: Key, object: ApiObject, options: { previous: Row | undefined; expires?: number | undefined }): string {
    return this.#write(() => {
      const revision = this.#next();
      object.metadata.resourceVersion = String(revision);
      const json = JSON.stringify(object);
      const { resource, namespace, name } = key;
      const values = [object.metadata.uid ?? '', revision, options.expires ?? null, json, resource, namespace, name];
      if (options.previous)
        this.#sql('UPDATE objects SET uid = ?, revision = ?, expires = ?, json = ? WHERE resource = ? AND namespace = ? AND name = ?').run(...values);
      else this.#sql('INSERT INTO objects (uid, revision, expires, json, resource, namespace, name) VALUES (?, ?, ?, ?, ?, ?, ?)').run(...values);
      this.#own(key, object, options.previous);
      return { type: options.previous ? 'MODIFIED' : 'ADDED', ...key, revision, json, previous: options.previous?.json };
    });
  }

  /** Removes a row; stamps the revision of the removal into `object`, its last state. */
  remove(row: Row, object: ApiObject): void {
    this.#write(() => {
      const revision = this.#next();
      object.metadata.resourceVersion = String(revision);
      const { resource, namespace, name } = row;
      this.#sql('DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?').run(resource, namespace, name);
      this.#sql('DELETE FROM owners WHERE resource = ? AND namespace = ? AND name = ?').run(resource, namespace, name);
      return { type: 'DELETED', resource, namespace, name, revision, json: JSON.stringify(object), previous: row.json };
    });
  }

  meta(key: string): string | undefined {
    const row = this.#sql('SELECT value FROM meta WHERE key = ?').get(key) as { value: string } | undefined;
    return row === undefined ? undefined : String(row.value);
  }

  setMeta(key: string, value: string): void {
    this.#sql('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value').run(key, value);
  }

  /** Resolves when everything written so far is committed: what a reader sees from here on stays, short of a power cut. */
  async committed(): Promise<void> {
    await this.#open?.committed.promise;
  }

  /** Resolves when everything written so far is on the disk; rejects when it could not be put there. */
  async durable(): Promise<void> {
    await (this.#open ?? this.#unflushed.at(-1))?.durable.promise;
  }

  /** Commits what is open, waits until it is on the disk, and closes the file. */
  async close(): Promise<void> {
    this.#commit();
    await this.durable().catch(() => {});
    if (this.#log !== undefined) closeSync(this.#log);
    this.#log = undefined;
    if (this.#database.isOpen) this.#database.close();
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, (statement = this.#database.prepare(text)));
    return statement;
  }

  #next(): number {
    this.#revision += 1;
    return this.#revision;
  }

  // Replaces the owners of an object; most have none, before and after.
  #own(key: Key, object: ApiObject, previous: Row | undefined): void {
    const owners = object.metadata.ownerReferences ?? [];
    if (previous?.json.includes('"ownerReferences"')) {
      this.#sql('DELETE FROM owners WHERE resource = ? AND namespace = ? AND name = ?').run(key.resource, key.namespace, key.name);
    }
    for (const { uid } of owners) this.#sql('INSERT OR IGNORE INTO owners VALUES (?, ?, ?, ?)').run(uid, key.resource, key.namespace, key.name);
  }

  #write(change: () => Change): string {
    const group = (this.#open ??= this.#begin());
    try {
      const made = change();
      group.changes.push(made);
      return made.json;
    } catch (error) {
      // The group may hold half a write: nothing of it is kept, and all who wait are told.
      this.#open = undefined;
      this.#giveUp(group, error);
      throw this.#named(error);
    }
  }

  #begin(): Group {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
    } catch (error) {
      throw this.#named(error);
    }
    const group: Group = { changes: [], committed: Promise.withResolvers<void>(), durable: Promise.withResolvers<void>() };
    // Whoever waits sees the rejection; a group nobody waits for must not end the process.
    group.committed.promise.catch(() => {});
    group.durable.promise.catch(() => {});
    setImmediate(() => this.#commit());
    return group;
  }

  #giveUp(group: Group, error: unknown): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    group.committed.reject(this.#named(error));
    group.durable.reject(this.#named(error));
  }

  // What SQLite says of a full disk names neither the disk nor what to do.
  #named(cause: unknown): unknown {
    const { errcode, code } = cause as { errcode?: number; code?: string };
    return errcode === SQLITE_FULL || code === 'ENOSPC' ? failure('SIDERO_APISERVER_DISK_FULL', { directory: dirname(this.#path), cause }) : cause;
  }

  #commit(): void {
    const group = this.#open;
    if (!group) return;
    this.#open = undefined;
    try {
      this.setMeta('revision', String(this.#revision));
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#giveUp(group, error);
      return;
    }
    this.#unflushed.push(group);
    group.committed.resolve();
    if (!this.#isFlushing) void this.#flush();
  }

  async #flush(): Promise<void> {
    this.#isFlushing = true;
    while (this.#unflushed.length > 0) {
      const groups = [...this.#unflushed];
      try {
        if (this.#log !== undefined) await syncFile(this.#log);
      } catch (error) {
        this.#unflushed = this.#unflushed.slice(groups.length);
        for (const group of groups) group.durable.reject(this.#named(error));
        continue;
      }
      this.#unflushed = this.#unflushed.slice(groups.length);
      for (const group of groups) {
        this.#onCommit(group.changes);
        group.durable.resolve();
      }
    }
    this.#isFlushing = false;
  }
}

function conditions(resource: string, range: Range): { where: string; values: string[] } {
  const parts = ['resource = ?'];
  const values = [resource];
  const add = (part: string, ...given: string[]) => {
    parts.push(part);
    values.push(...given);
  };
  if (range.namespace !== undefined) add('namespace = ?', range.namespace);
  if (range.name !== undefined) add('name = ?', range.name);
  if (range.after) add('(namespace, name) > (?, ?)', range.after.namespace, range.after.name);
  return { where: parts.join(' AND '), values };
}
