import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { failure } from '../errors.ts';

/** Beside `src` and beside `dist`. */
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
const TEMPLATE = join(PACKAGE, 'template');
const IS_CHECKOUT = import.meta.url.endsWith('.ts');
/** Packages of ours that the template lists, and where a checkout has them. */
const OURS = { '@sidero/core': 'core', '@sidero/testing': 'test/kit' } as const;

/** `sidero plugin new FOLDER`: a plugin to start from, with tests that pass. */
export function pluginCommand(program: Command): void {
  const plugin = program.command('plugin').description('plugins of your own');
  plugin
    .command('new <folder>')
    .description('write a plugin to start from, with a test that passes; the last part of the folder is its name')
    .addHelpText('after', '\nExample: sidero plugin new ../purchase-list')
    .action(async (folder: string) => {
      const path = resolve(folder);
      const name = basename(path);
      refuseUnfit(path, name);
      for (const [file, text] of filesOf(name, path)) {
        await mkdir(dirname(join(path, file)), { recursive: true });
        await writeFile(join(path, file), text);
      }
      process.stdout.write(whatNext(name, folder));
    });
}

/** @throws SIDERO_PLUGIN_NEW_REFUSED */
function refuseUnfit(path: string, name: string): void {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    throw failure('SIDERO_PLUGIN_NEW_REFUSED', { folder: path, problem: `"${name}" is no name of a plugin: lower-case words with hyphens are` });
  if (existsSync(path) && (!statSync(path).isDirectory() || readdirSync(path).length > 0))
    throw failure('SIDERO_PLUGIN_NEW_REFUSED', { folder: path, problem: 'there is something in it already' });
}

/** Every file of the template, under the plugin's name. */
function filesOf(name: string, target: string): readonly (readonly [file: string, text: string])[] {
  const files = readdirSync(TEMPLATE, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(TEMPLATE, file)).isFile());
  return files.map((file) => {
    const text = named(readFileSync(join(TEMPLATE, file), 'utf8'), name);
    return [named(file, name), file === 'package.json' ? withOurPackages(text, target) : text] as const;
  });
}

// The template is a plugin called "example"; an export and a variable cannot have hyphens.
function named(text: string, name: string): string {
  return text
    .replaceAll(/\{ example\b|\bexample(?=\(| = | \}|,)/g, (found) => found.replace('example', exportOf(name)))
    .replaceAll('EXAMPLE', name.toUpperCase().replaceAll('-', '_'))
    .replaceAll('sidero_example', `sidero_${name.replaceAll('-', '_')}`)
    .replaceAll('example', name);
}

// Until it is published, what a checkout has is linked; npm takes a path relative to the new package.
function withOurPackages(text: string, target: string): string {
  if (!IS_CHECKOUT) return text;
  const json = JSON.parse(text) as { devDependencies: Record<string, string> };
  for (const [name, folder] of Object.entries(OURS)) json.devDependencies[name] = `file:${relative(target, join(PACKAGE, '..', folder))}`;
  return `${JSON.stringify(json, null, 2)}\n`;
}

const exportOf = (name: string): string => name.replaceAll(/-(.)/g, (_hyphen, letter: string) => letter.toUpperCase());

function whatNext(name: string, folder: string): string {
  const build = IS_CHECKOUT ? `  npm run build                # here, once and after each update: its tests use what is built\n` : '';
  return `Plugin ${name} is in ${folder}. Next:
${build}  cd ${folder} && npm install && npm test
It does something as soon as it is in sidero.config.ts:
  import { ${exportOf(name)} } from '${relative('.', resolve(folder)).replace(/^(?!\.)/, './')}/src/index.ts';
  … plugins: [ …, ${exportOf(name)}({ room: 'a' })]
`;
}
