import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** A process that loads all of core; hosts are busy. */
const PATIENCE_MS = 60_000;
const PROGRAM = join(import.meta.dirname, 'main.ts');
const run = (args: readonly string[], cwd?: string) => promisify(execFile)(process.execPath, ['--conditions=source', PROGRAM, ...args], { cwd });

test(
  'the README has every option, and no other',
  async () => {
    const { stdout } = await run(['--help']);
    const options = [...stdout.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, option]) => option);
    const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8');
    const documented = [...readme.matchAll(/^\| `(--[\w-]+)`/gm)].map(([, option]) => option);
    expect(new Set(documented)).toEqual(new Set(options));
  },
  PATIENCE_MS,
);

test(
  'a build without an agent, and without the word for it, is refused with what to do',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'no-agent-'));
    try {
      await expect(run([], folder)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/SIDERO_IMAGE_AGENT_MISSING: .*\n {2}Next: .*--without-agent/),
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  PATIENCE_MS,
);
