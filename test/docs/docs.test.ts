import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Plugin } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { paths, ROOT } from '../architecture/source-tree.ts';
import { documents, parseDocument, tableKeys } from './documents.ts';
import { errorCodes, errorsPage } from './error-codes.ts';

const run = promisify(execFile);
const all = documents();
const sourceText = paths('core/**/*.ts', 'image/**/*.ts', 'plugins/**/*.ts', 'test/**/*.{ts,sh}', '*.ts')
  .map((path) => readFileSync(join(ROOT, path), 'utf8'))
  .join('\n');

describe('error codes', () => {
  test('docs/errors.md is what the tables say (vitest run test/docs -u remakes it)', async () => {
    await expect(errorsPage(await errorCodes())).toMatchFileSnapshot('../../docs/errors.md');
  });

  test('no two tables have the same code', async () => {
    const codes = (await errorCodes()).map(({ code }) => code);
    expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([]);
  });

  test('every code is used', async () => {
    const unused = (await errorCodes()).filter(({ code }) => !new RegExp(`['"]${code}['"]`).test(sourceText));
    expect(unused.map(({ code, table }) => `${table}: ${code} is thrown nowhere`)).toEqual([]);
  });

  test('every code and variable that a document names exists', () => {
    const unknown = all.flatMap(({ path, text }) =>
      [...text.matchAll(/\b(SIDERO|CAPI)_[A-Z0-9_]*[A-Z0-9]\b(?!_)/g)]
        .filter(([name]) => !sourceText.includes(name))
        .map(([name]) => `${path}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });
});

describe('options', () => {
  const readmes = all.filter(({ path }) => /^plugins\/[^/]+\/README\.md$/.test(path));

  test.each(readmes)('$path has every option of its plugin, and no other', async (readme) => {
    const { schema, settings } = (await pluginOf(dirname(readme.path))).options;
    expect([...tableKeys(readme, /^##+ Options/)].sort()).toEqual(Object.keys((schema as { properties: object }).properties).sort());
    expect(Object.values(settings).filter((variable) => !readme.text.includes(variable))).toEqual([]);
  });

  test('every plugin has a README', () => {
    const folders = paths('plugins/*/package.json').map((path) => dirname(path));
    expect(folders.filter((folder) => !readmes.some(({ path }) => dirname(path) === folder))).toEqual([]);
  });
});

/** The plugin that a package exports, made with no options. */
async function pluginOf(folder: string): Promise<Plugin> {
  const exported = (await import(pathToFileURL(join(ROOT, folder, 'src/index.ts')).href)) as Record<string, unknown>;
  const factories = Object.values(exported).filter((value): value is () => Plugin => typeof value === 'function' && 'pluginName' in value);
  expect(factories).toHaveLength(1);
  return factories[0]!();
}

describe('code in documents', () => {
  test('every ts block type-checks', async () => {
    await mkdir(join(ROOT, '.cache'), { recursive: true });
    const folder = await mkdtemp(join(ROOT, '.cache', 'blocks-'));
    try {
      for (const { path, blocks } of all) {
        for (const { text, line } of blocks.filter(({ language }) => language === 'ts')) {
          // Blank lines in front let an error name the line of the document.
          await writeFile(join(folder, `${path.replaceAll('/', '+')}-${line}.ts`), `${'\n'.repeat(line - 1)}${text}\nexport {};\n`);
        }
      }
      const compilerOptions = { composite: false, noEmit: true, rootDir: ROOT };
      await writeFile(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ extends: join(ROOT, 'tsconfig.base.json'), compilerOptions, include: ['*.ts'] }),
      );
      const errors = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder, '--pretty', 'false']).then(
        () => [],
        ({ stdout }: { stdout: string }) => stdout.split('\n').filter((line) => line.includes('.md-')),
      );
      expect(errors).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 120_000);

  test('every npm script that a document names exists', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const unknown = all.flatMap(({ path, text }) =>
      [...text.matchAll(/\bnpm run ([\w:-]+)/g)].filter(([, script]) => !(script! in scripts)).map(([words]) => `${path}: ${words}`),
    );
    expect(unknown).toEqual([]);
  });

  test('every command of sidero that a document names exists', { timeout: 60_000 }, async () => {
    const { stdout } = await run(process.execPath, ['--conditions=source', join(ROOT, 'core/bin/sidero.js'), '--help']);
    const commands = [...stdout.matchAll(/^ {2}([a-z][\w-]*)/gm)].map(([, command]) => command);
    expect(commands).toContain('start');
    const named = all.flatMap(({ path, text }) =>
      [...text.matchAll(/(?:`|npx |^)sidero ([a-z][\w-]*)/gm)].map(([words, command]) => ({ path, words, command: command! })),
    );
    expect(named.filter(({ command }) => !commands.includes(command)).map(({ path, words }) => `${path}: ${words}`)).toEqual([]);
  });
});

describe('links', () => {
  test('resolve, to files and to headings', () => {
    const broken = all.flatMap(({ path, links, anchors }) =>
      links.flatMap(({ target, line }) => {
        const [file = '', anchor] = target.split('#');
        const at = `${path}:${line}: ${target}`;
        if (file === '') return anchors.has(anchor!) ? [] : [at];
        const full = join(ROOT, dirname(path), file);
        if (!existsSync(full)) return [at];
        if (anchor === undefined || statSync(full).isDirectory()) return [];
        return parseDocument(file, readFileSync(full, 'utf8')).anchors.has(anchor) ? [] : [at];
      }),
    );
    expect(broken).toEqual([]);
  });
});
