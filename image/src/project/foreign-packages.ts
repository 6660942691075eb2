import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../errors.ts';
import { type Platform, type RunsOn, runsOn } from '../platform.ts';
import { runCommand } from '../run-command.ts';

/** An entry of package-lock.json. */
interface Locked extends RunsOn {
  readonly version?: string;
  readonly integrity?: string;
}

/** Packages that npm leaves out on this machine, and would install on another: native halves. */
export class ForeignPackages {
  readonly #platform: Platform;
  readonly #cache: string;
  readonly #locked: Promise<Readonly<Record<string, Locked>>>;

  constructor(given: { readonly project: string; readonly platform: Platform; readonly cache: string }) {
    this.#platform = given.platform;
    this.#cache = join(given.cache, 'npm');
    this.#locked = lockedIn(given.project);
  }

  /** The folder of a package, fetched as the project's lock file has it; undefined when it does not run there either. `at`: "node_modules/a". */
  async folderOf(name: string, at: string): Promise<string | undefined> {
    const { [at]: locked } = await this.#locked;
    if (!locked?.version || !runsOn(locked, this.#platform)) return undefined;
    const folder = join(this.#cache, `${name.replace('/', '+')}-${locked.version}`);
    if (!(await stat(folder).catch(() => undefined))) await this.#fetch({ name, folder, ...locked });
    return folder;
  }

  async #fetch({ name, folder, version, integrity }: Locked & { readonly name: string; readonly folder: string }): Promise<void> {
    await mkdir(this.#cache, { recursive: true });
    const work = await mkdtemp(`${folder}.`);
    try {
      const next = 'see whether the registry of npm is reached';
      await runCommand(['npm', 'pack', `${name}@${version}`, '--silent', '--ignore-scripts', '--pack-destination', work], { next, cwd: work });
      const file = join(work, `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`);
      const found = `sha512-${createHash('sha512')
        .update(await readFile(file))
        .digest('base64')}`;
      if (found !== integrity) throw failure('SIDERO_IMAGE_PACKAGE_ALTERED', { name, version: version! });
      await mkdir(join(work, 'package'));
      await runCommand(['tar', '-xzf', file, '-C', join(work, 'package'), '--strip-components=1'], { next: 'install tar' });
      await rename(join(work, 'package'), folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
}

async function lockedIn(project: string): Promise<Readonly<Record<string, Locked>>> {
  const text = await readFile(join(project, 'package-lock.json'), 'utf8').catch(() => '{}');
  return (JSON.parse(text) as { readonly packages?: Readonly<Record<string, Locked>> }).packages ?? {};
}
