import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { failure } from '../errors.ts';

/** Where a demo keeps its files when it is not told. */
export const DEFAULT_FOLDER = '.sidero/demo';
/** Tells a demo's folder from any other, and is locked while that demo runs. */
const MARK = 'demo.lock';
/** Demos at once in one directory, without being told where. */
const MOST = 20;

/** An empty folder that no other demo takes before this one is disposed of, or its process has ended. */
export interface DataFolder extends Disposable {
  readonly path: string;
}

/**
 * Takes the folder and empties it. Without one it is `.sidero/demo`, or while demos run there `.sidero/demo-2` and so on.
 * @throws SIDERO_DEMO_FOLDER_REFUSED when another demo runs in it, or it holds what no demo has made
 */
export async function takeDataFolder(given: string | undefined): Promise<DataFolder> {
  if (given !== undefined) {
    if (isForeign(given)) throw refused(given, 'holds files that no demo has made, and a demo empties its folder');
    return (await taken(given)) ?? refuse(given, 'is another demo’s, which runs');
  }
  for (let number = 1; number <= MOST; number++) {
    const folder = await taken(number === 1 ? DEFAULT_FOLDER : `${DEFAULT_FOLDER}-${number}`);
    if (folder) return folder;
  }
  return refuse(DEFAULT_FOLDER, `and the ${MOST - 1} after it are other demos’, which run`);
}

const refused = (folder: string, problem: string) => failure('SIDERO_DEMO_FOLDER_REFUSED', { folder, problem });

function refuse(folder: string, problem: string): never {
  throw refused(folder, problem);
}

function isForeign(path: string): boolean {
  return existsSync(path) && !existsSync(join(path, MARK)) && readdirSync(path).length > 0;
}

async function taken(path: string): Promise<DataFolder | undefined> {
  mkdirSync(path, { recursive: true });
  const lock = locked(join(path, MARK));
  if (!lock) return undefined;
  const old = readdirSync(path).filter((name) => !name.startsWith(MARK));
  await Promise.all(old.map((name) => rm(join(path, name), { recursive: true, force: true })));
  return { path, [Symbol.dispose]: () => lock.close() };
}

// The lock of a database is the only one Node has that ends with its process, however that ends.
function locked(file: string): DatabaseSync | undefined {
  const lock = new DatabaseSync(file);
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT');
    return lock;
  } catch {
    lock.close();
    return undefined;
  }
}
