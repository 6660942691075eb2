import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from '../qemu/child.ts';
import type { Missing } from '../qemu/support.ts';
import { failure } from './errors.ts';

/** Programs of ours over packages of PyPI, and the list of those packages. */
export const PYTHON_DIR = join(import.meta.dirname, '../../python');
const REQUIREMENTS = join(PYTHON_DIR, 'requirements.txt');

/**
 * The folder of the Python environment that BMCs of PyPI run in, under $SIDERO_TEST_CACHE or ~/.cache/sidero-test; another one for each list of
 * packages.
 */
export function pythonFolder(): string {
  const cache = process.env['SIDERO_TEST_CACHE'] ?? join(homedir(), '.cache', 'sidero-test');
  const list = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex');
  return join(cache, `python-${list.slice(0, 12)}`);
}

/** What makes the environment: a command for `sh`. Its last step is the mark that it is complete. */
export function pythonInstallation(): string {
  const folder = pythonFolder();
  const pip = `'${folder}/bin/python3' -m pip install --quiet --disable-pip-version-check --requirement '${REQUIREMENTS}'`;
  return `python3 -m venv --clear '${folder}' && ${pip} && touch '${folder}/complete'`;
}

/** What is missing here to run BMCs of PyPI; empty when all is there. Looks, changes nothing. */
export function pythonSupport(): readonly Missing[] {
  const folder = pythonFolder();
  if (existsSync(join(folder, 'complete'))) return [];
  return [{ what: `the Python environment ${folder}`, remedy: pythonInstallation() }];
}

/** The interpreter with those packages. @throws SIDERO_SIMULATOR_UNSUPPORTED */
export function python(name: string): string {
  const missing = pythonSupport();
  if (missing.length > 0) throw failure('SIDERO_SIMULATOR_UNSUPPORTED', { name, missing });
  return join(pythonFolder(), 'bin', 'python3');
}

/** Starts a program of the environment. It does not outlive us. @throws SIDERO_SIMULATOR_UNSUPPORTED */
export function startPython(args: readonly string[], { name, cwd }: { name: string; cwd: string }): Promise<Child> {
  return startChild(['setpriv', '--pdeathsig', 'KILL', python(name), '-u', ...args], { name, cwd, env: { PYTHONDONTWRITEBYTECODE: '1' } });
}
