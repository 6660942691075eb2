import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Something the build needs is not on this machine; the message says what to install. */
export class BuildFailure extends Error {
  override readonly name = 'BuildFailure';
}

/** Runs a program; `hint` tells what to do when it is missing or fails. */
export async function run(
  command: string,
  args: readonly string[],
  given: { hint: string; cwd?: string; env?: Readonly<Record<string, string>> },
): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { cwd: given.cwd, env: { ...process.env, ...given.env }, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (cause) {
    const { code, stderr } = cause as { code?: unknown; stderr?: string };
    const problem = code === 'ENOENT' ? 'is not installed' : `failed: ${(stderr ?? String(cause)).trim().split('\n').at(-1)}`;
    throw new BuildFailure(`${command} ${problem}. Next: ${given.hint}`, { cause });
  }
}

const APT_HINT = 'this build takes kernel and busybox from Debian: run it on Debian or Ubuntu, after `apt-get update`.';

/** A Debian package that is unpacked, never installed. */
export interface Unpacked {
  /** File name in the archive; says package, version and architecture. */
  readonly file: string;
  readonly folder: string;
}

/** The package that a meta package stands for: `linux-image-amd64` is `linux-image-6.1.0-56-amd64`. */
export async function dependencyOf(metaPackage: string): Promise<string> {
  const text = await run('apt-cache', ['depends', metaPackage], { hint: APT_HINT });
  const name = /^\s*Depends: (\S+)/m.exec(text)?.[1];
  if (!name) throw new BuildFailure(`apt knows no package ${metaPackage}. Next: ${APT_HINT}`);
  return name;
}

/** The file a package would be downloaded as. */
export async function packageFile(name: string): Promise<string> {
  const text = await run('apt-get', ['download', '--print-uris', name], { hint: APT_HINT });
  const file = /^'[^']*' (\S+\.deb) /m.exec(text)?.[1];
  if (!file) throw new BuildFailure(`apt offers no download of ${name}. Next: ${APT_HINT}`);
  return file;
}

/** Downloads a package into the cache and unpacks it there, unless that was done before. apt checks its signature. */
export async function unpackPackage(name: string, cache: string): Promise<Unpacked> {
  const file = await packageFile(name);
  const folder = join(cache, 'debian', file.replace(/\.deb$/, ''));
  const isThere = () =>
    access(folder).then(
      () => true,
      () => false,
    );
  if (await isThere()) return { file, folder };
  const work = `${folder}.${process.pid}`;
  await mkdir(work, { recursive: true });
  try {
    await run('apt-get', ['download', name], { hint: APT_HINT, cwd: work });
    await run('dpkg-deb', ['-x', join(work, file), join(work, 'root')], { hint: 'install the package dpkg.' });
    await rename(join(work, 'root'), folder).catch(async (thrown: unknown) => {
      // Another build was first.
      if (!(await isThere())) throw thrown;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { file, folder };
}
