import { stripTypeScriptTypes } from 'node:module';
import { posix } from 'node:path';
import { below, type Node, type Package, packageOf, type SourceFile } from './source-tree.ts';

/** A place that breaks a rule. */
export interface Breach {
  /** `core/src/x.ts:12`. */
  readonly at: string;
  readonly does: string;
}

/** A rule of the architecture over one file. `instead` says where the code belongs. */
export interface Rule {
  readonly says: string;
  readonly instead: string;
  breaches(file: SourceFile): readonly Breach[];
}

const HOOKS = ['discover', 'accept', 'wipe', 'allocate', 'bind', 'boot', 'stream'];
// A plugin's name that is also a word of the field, and where core says it.
const WORDS_OF_THE_FIELD: Readonly<Record<string, string>> = { agent: 'the program on the machine: a boot target, a wire, a token' };

function breach(file: SourceFile, node: Node, does: string): Breach {
  return { at: `${file.path}:${file.lineOf(node)}`, does };
}

/** Core works with any plugins; the names of ours stand in sidero.config.ts and in tests. */
export function coreNamesNoPlugin(plugins: readonly Package[]): Rule {
  const names = new Set(plugins.map(({ folder }) => posix.basename(folder)).filter((name) => !(name in WORDS_OF_THE_FIELD)));
  return {
    says: 'core names no plugin, in imports and in strings',
    instead: 'let the plugin add to a registry or tap a hook; what core must know of it is a field of what it registers',
    breaches: (file) => [
      ...file.imports
        .filter(({ specifier }) => /^@sidero\/(plugin-|testing)/.test(specifier))
        .map(({ specifier, line }) => ({ at: `${file.path}:${line}`, does: `imports ${specifier}` })),
      ...texts(file).flatMap(({ node, text }) => (names.has(text) || text.includes('@sidero/plugin-') ? [breach(file, node, `says "${text}"`)] : [])),
    ],
  };
}

function texts(file: SourceFile): readonly { node: Node; text: string }[] {
  return file.nodes.flatMap((node) => {
    if (node.type === 'Literal' && typeof node['value'] === 'string') return [{ node, text: node['value'] }];
    if (node.type === 'TemplateElement') return [{ node, text: (node['value'] as { cooked?: string }).cooked ?? '' }];
    return [];
  });
}

/** A package lives off what its package.json lists, and off its own files. */
export function importsWhatItLists(owner: Package, alsoAllowed: readonly string[] = []): Rule {
  // Its own name is another way to its own files; `exports` refuses what a package does not offer.
  const listed = new Set([owner.name, ...Object.keys(owner.dependencies), ...Object.keys(owner.peerDependencies), ...alsoAllowed]);
  return {
    says: `${owner.name} imports its own files, Node's modules, and what its package.json lists`,
    instead: `add the dependency to ${owner.folder}/package.json; a plugin meets other plugins in hooks, registries and resources only`,
    breaches: (file) =>
      file.imports
        .filter(({ specifier }) => {
          if (specifier.startsWith('node:')) return false;
          if (specifier.startsWith('.')) return !posix.join(posix.dirname(file.path), specifier).startsWith(`${owner.folder}/`);
          return !listed.has(packageOf(specifier));
        })
        .map(({ specifier, line }) => ({ at: `${file.path}:${line}`, does: `imports ${specifier}` })),
  };
}

/** Stages run hooks; everybody else calls a stage. */
export const onlyStagesCallHooks: Rule = {
  says: 'only core/src/lifecycle calls hooks',
  instead: 'call the stage of that hook (sidero.lifecycle), or write the stage in core/src/lifecycle',
  breaches: (file) =>
    file.path.startsWith('core/src/lifecycle/')
      ? []
      : methodCalls(file)
          .filter(({ method, object }) => ['promise', 'call', 'callAsync'].includes(method) && isHook(file.textOf(object)))
          .map(({ node, object, method }) => breach(file, node, `calls ${file.textOf(object)}.${method}()`)),
};

/** Data flows one way: transport, stage, hook, tap, resources. */
export const noTapCallsAStage: Rule = {
  says: 'no tap calls a stage',
  instead: 'return a value from the tap; a transport or a controller calls the stage',
  breaches: (file) =>
    methodCalls(file)
      .filter(({ method, object }) => ['tap', 'tapPromise', 'tapAsync'].includes(method) && isHook(file.textOf(object)))
      .flatMap(({ node }) => below(node))
      .filter((node) => node.type === 'MemberExpression' && /(^|\.)lifecycle$/.test(file.textOf(node['object'] as Node)))
      .map((node) => breach(file, node, `calls ${file.textOf(node)} in a tap`)),
};

function methodCalls(file: SourceFile): readonly { node: Node; object: Node; method: string }[] {
  return file.nodes.flatMap((node) => {
    const callee = node.type === 'CallExpression' ? (node['callee'] as Node) : undefined;
    if (callee?.type !== 'MemberExpression') return [];
    return [{ node, object: callee['object'] as Node, method: String((callee['property'] as Node)['name']) }];
  });
}

function isHook(expression: string): boolean {
  return /(^|\.)hooks(\.\w+|\[.*\])$/.test(expression) || /(^|\.)\w*Hooks?$/.test(expression) || HOOKS.includes(expression);
}

/** Core's own behaviour has no doors that a plugin lacks. */
export const builtinIsWrittenAsAPlugin: Rule = {
  says: 'core/src/builtin imports ../index.ts and its own files only, as a plugin would',
  instead: 'export what is needed from core/src/index.ts, for every plugin, or do without it',
  breaches: (file) =>
    file.imports
      .filter(({ specifier }) => {
        const target = posix.join(posix.dirname(file.path), specifier);
        return specifier.startsWith('.') && target !== 'core/src/index.ts' && !target.startsWith('core/src/builtin/');
      })
      .map(({ specifier, line }) => ({ at: `${file.path}:${line}`, does: `imports ${specifier}` })),
};

/** One way to import a thing: by its name. */
export const noDefaultExport: Rule = {
  says: 'exports are named, except in configs',
  instead: 'export it by its name',
  breaches: (file) =>
    file.path.endsWith('.config.ts')
      ? []
      : file.nodes.filter(({ type }) => type === 'ExportDefaultDeclaration').map((node) => breach(file, node, 'has a default export')),
};

/** Vitest's own limit of a second is one that a busy host exceeds now and then. */
export const waitsSayHowLong: Rule = {
  says: 'vi.waitFor and vi.waitUntil say how long they wait',
  instead: "wait with expect.poll, whose limit is the configuration's, or give a timeout",
  breaches: (file) =>
    methodCalls(file)
      .filter(({ method, object }) => ['waitFor', 'waitUntil'].includes(method) && file.textOf(object) === 'vi')
      .filter(({ node }) => !saysHowLong(file, (node['arguments'] as readonly Node[])[1]))
      .map(({ node }) => breach(file, node, 'waits as long as Vitest likes')),
};

// Options that stand elsewhere have a name, which says it.
function saysHowLong(file: SourceFile, options: Node | undefined): boolean {
  return options !== undefined && (options.type !== 'ObjectExpression' || /\btimeout\b|\.\.\./.test(file.textOf(options)));
}

/** Words that say nothing about what is inside. */
const EMPTY_WORDS = ['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'managers', 'base', 'impl', 'info', 'misc', 'shared'];

/** The empty word in a file's or folder's name, if there is one. */
export function emptyWordIn(path: string): string | undefined {
  return path.split(/[/.-]/).find((word) => EMPTY_WORDS.includes(word));
}

/** Lines with something that runs: neither blank nor types nor comments only. */
export function runningLines(file: SourceFile): number {
  const withoutComments = stripTypeScriptTypes(file.text)
    .replaceAll(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, '')
    .replaceAll(/^\s*\/\/.*$/gm, '');
  return withoutComments.split('\n').filter((line) => !/^[\s;]*$/.test(line)).length;
}
