import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  builtinIsWrittenAsAPlugin,
  coreNamesNoPlugin,
  emptyWordIn,
  importsWhatItLists,
  noDefaultExport,
  noTapCallsAStage,
  onlyStagesCallHooks,
  runningLines,
  type Rule,
  waitsSayHowLong,
} from './rules.ts';
import { packages, parseSource, paths, ROOT, type SourceFile, sources } from './source-tree.ts';

const workspaces = packages();
const plugins = workspaces.filter(({ folder }) => folder.startsWith('plugins/'));
const root = workspaces.find(({ folder }) => folder === '.')!;
const all = sources('core/{src,scripts}/**/*.ts', 'image/src/**/*.ts', 'plugins/*/{src,machine,image}/**/*.ts', 'test/**/*.ts', '*.ts');
const product = all.filter(({ path }) => /^(core|image|plugins)\//.test(path) && !path.endsWith('.test.ts'));

/** Nothing when the rule is kept, else a text that says what to do. */
function verdict(rule: Rule, files: readonly SourceFile[]): string {
  const breaches = files.flatMap((file) => rule.breaches(file));
  return breaches.length === 0
    ? ''
    : [`Rule: ${rule.says}.`, ...breaches.map(({ at, does }) => `  ${at} ${does}`), `Instead: ${rule.instead}.`].join('\n');
}

function within(folder: string): readonly SourceFile[] {
  return all.filter(({ path }) => path.startsWith(`${folder}/`));
}

describe('who knows whom', () => {
  test('core names no plugin', () => {
    expect(
      verdict(
        coreNamesNoPlugin(plugins),
        product.filter(({ path }) => path.startsWith('core/')),
      ),
    ).toBe('');
  });

  test.each(workspaces.filter(({ folder }) => folder !== '.'))('$name imports only what it lists', (owner) => {
    const core = workspaces.find(({ folder }) => folder === 'core')!;
    const tools = Object.keys({ ...root.devDependencies, ...core.dependencies });
    const isTool = ({ path }: SourceFile) => path.endsWith('.test.ts') || path.includes('/scripts/') || path.includes('/image/');
    const files = within(owner.folder);
    expect(
      verdict(
        importsWhatItLists(owner),
        files.filter((file) => !isTool(file)),
      ),
    ).toBe('');
    expect(verdict(importsWhatItLists(owner, [...tools, '@sidero/testing']), files.filter(isTool))).toBe('');
  });

  test('builtin/ is written as a plugin', () => {
    expect(
      verdict(
        builtinIsWrittenAsAPlugin,
        within('core/src/builtin').filter(({ path }) => !path.endsWith('.test.ts')),
      ),
    ).toBe('');
  });
});

describe('who calls whom', () => {
  test('only stages call hooks', () => {
    expect(verdict(onlyStagesCallHooks, product)).toBe('');
  });

  test('no tap calls a stage', () => {
    expect(verdict(noTapCallsAStage, product)).toBe('');
  });
});

describe('how it is written', () => {
  test('exports are named', () => {
    expect(verdict(noDefaultExport, all)).toBe('');
  });

  test('waits of tests say how long', () => {
    expect(verdict(waitsSayHowLong, all)).toBe('');
  });

  test('names of files and folders say what is inside', () => {
    const bad = paths('core/**/*.ts', 'image/**/*.ts', 'plugins/**/*.ts', 'test/**/*.ts').flatMap((path) =>
      emptyWordIn(path) ? [`${path}: "${emptyWordIn(path)}" says nothing; name the concept, or move it into the file of its one caller`] : [],
    );
    expect(bad).toEqual([]);
  });

  test('the kernel can be read over coffee: core/src/*.ts has at most 800 lines that run', () => {
    // Types, comments and blank lines do not count.
    const files = product.filter(({ path }) => /^core\/src\/[^/]+\.ts$/.test(path));
    const counted = files.map((file) => `${runningLines(file)} ${file.path}`);
    const total = files.reduce((sum, file) => sum + runningLines(file), 0);
    expect(total, `${counted.join('\n')}\nMove what is a room of its own into a folder of core/src, or into a plugin.`).toBeLessThanOrEqual(800);
  });
});

describe('dependencies', () => {
  // What MPL-2.0 code may be shipped with, by SPDX name.
  const allowed = [
    '0BSD',
    'Apache-2.0',
    'BSD-2-Clause',
    'BSD-3-Clause',
    'BlueOak-1.0.0',
    'CC0-1.0',
    'ISC',
    'MIT',
    'MPL-2.0',
    'PSF-2.0',
    'Python-2.0',
    'Unlicense',
  ];

  test.each(workspaces)('$name pins every dependency exactly', ({ dependencies, peerDependencies, devDependencies, optionalDependencies }) => {
    const loose = Object.entries({ ...dependencies, ...peerDependencies, ...devDependencies, ...optionalDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  test('one version of a library is listed, whoever lists it', () => {
    const versions = new Map<string, Set<string>>();
    for (const { dependencies, devDependencies } of workspaces) {
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
        versions.set(name, (versions.get(name) ?? new Set()).add(version));
    }
    expect([...versions].filter(([, listed]) => listed.size > 1).map(([name, listed]) => `${name}: ${[...listed].join(', ')}`)).toEqual([]);
  });

  test('every workspace is under MPL-2.0', () => {
    expect(workspaces.filter(({ license }) => license !== 'MPL-2.0').map(({ name }) => name)).toEqual([]);
  });

  test('everything installed has a licence that we may ship', () => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { link?: boolean; license?: string }>;
    };
    const isAllowed = (expression: string): boolean => {
      const bare = expression.replace(/^\((.*)\)$/, '$1');
      if (bare.includes(' OR ')) return bare.split(' OR ').some(isAllowed);
      if (bare.includes(' AND ')) return bare.split(' AND ').every(isAllowed);
      return allowed.includes(bare);
    };
    const refused = Object.entries(lock.packages).flatMap(([path, { link, license = 'no licence' }]) =>
      link || isAllowed(license) ? [] : [`${path || 'root'}: ${license}`],
    );
    expect(refused).toEqual([]);
  });
});

describe('the rules themselves', () => {
  const file = (path: string, text: string) => parseSource(path, text);

  test('see a plugin named by core, in an import, a string and a template', () => {
    const rule = coreNamesNoPlugin(plugins);
    const seen = (text: string) => rule.breaches(file('core/src/x.ts', text)).map(({ does }) => does);
    expect(seen(`import type { X } from '@sidero/plugin-agent';`)).toContain('imports @sidero/plugin-agent');
    expect(seen(`if (plugin === 'boot-ipxe') go();`)).toEqual(['says "boot-ipxe"']);
    expect(seen('const hint = `add apiserver() from @sidero/plugin-apiserver`;')).toHaveLength(1);
    expect(seen(`const target = 'agent';`)).toEqual([]);
  });

  test('see an import that is not listed or leads out of the package', () => {
    const rule = importsWhatItLists({ ...plugins[0]!, folder: 'plugins/a', dependencies: { zod: '1.0.0', '@sidero/core': '1.0.0' } });
    const seen = (specifier: string) => rule.breaches(file('plugins/a/src/x.ts', `export * from '${specifier}';`)).length;
    expect(['zod', 'zod/v4', '@sidero/core', 'node:fs', './y.ts', '../machine/z.ts'].map(seen)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(['koa', '@sidero/plugin-caps', '../../b/src/x.ts'].map(seen)).toEqual([1, 1, 1]);
  });

  test('see a hook called outside the stages', () => {
    const seen = (text: string, path = 'plugins/a/src/x.ts') => onlyStagesCallHooks.breaches(file(path, text)).length;
    expect(seen('await sidero.hooks.boot.promise(plan, request);')).toBe(1);
    expect(seen('const { hooks } = sidero; hooks.stream.call(event);')).toBe(1);
    expect(seen('const { accept } = sidero.hooks; accept.callAsync(server, done);')).toBe(1);
    expect(seen('this.hooks.boot.promise(plan, request);', 'core/src/lifecycle/boot.ts')).toBe(0);
    expect(seen('method.call(this); fs.promise();')).toBe(0);
  });

  test('see a tap that calls a stage', () => {
    const seen = (text: string) => noTapCallsAStage.breaches(file('plugins/a/src/x.ts', text)).length;
    expect(seen(`hooks.accept.tapPromise('a', async (server) => sidero.lifecycle.wipe(server));`)).toBe(1);
    expect(seen(`hooks.accept.tapPromise('a', async (server) => verdict(server)); route(() => lifecycle.boot(request));`)).toBe(0);
  });

  test('see empty names, default exports and doors that builtin/ may not use', () => {
    expect(['core/src/utils.ts', 'plugins/a/src/boot-helper.ts', 'plugins/common/src/x.ts', 'core/src/database.ts'].map(emptyWordIn)).toEqual([
      'utils',
      'helper',
      'common',
      undefined,
    ]);
    expect(noDefaultExport.breaches(file('a.ts', 'export default 1;'))).toHaveLength(1);
    expect(noDefaultExport.breaches(file('vitest.config.ts', 'export default 1;'))).toHaveLength(0);
    expect(
      builtinIsWrittenAsAPlugin.breaches(file('core/src/builtin/x.ts', `import { a } from '../errors.ts'; import { b } from '../index.ts';`)),
    ).toHaveLength(1);
  });

  test('see a wait without a limit of its own', () => {
    const seen = (text: string) => waitsSayHowLong.breaches(file('test/a.test.ts', text)).length;
    expect([seen('await vi.waitFor(look);'), seen('await vi.waitUntil(look, { interval: 5 });')]).toEqual([1, 1]);
    expect(seen('await vi.waitFor(look, { timeout }); await vi.waitFor(look, late); await vi.waitFor(look, { ...late, interval: 5 });')).toBe(0);
  });

  test('count lines that run', () => {
    expect(
      runningLines(file('a.ts', '/** doc\n * more */\nconst a: number = 1;\ninterface B {\n  c: string;\n}\n\n// why\nconst b = 2; // here\n')),
    ).toBe(2);
  });
});
