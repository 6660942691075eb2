import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { paths, ROOT } from '../architecture/source-tree.ts';

/** One entry of an error table, as it reads with its details still open. */
export interface ErrorCode {
  readonly code: string;
  /** File of its table, from the root. */
  readonly table: string;
  readonly message: string;
  readonly next: string;
}

interface Entry {
  message(details: unknown): string;
  next(details: unknown): string;
}

/** Every error code of every package, alphabetical. */
export async function errorCodes(): Promise<readonly ErrorCode[]> {
  const tables = paths('core/src/errors.ts', 'image/src/errors.ts', 'plugins/*/{src,machine}/**/errors.ts', 'test/kit/src/**/errors.ts');
  const found = await Promise.all(
    tables.map(async (table) => {
      const { failure } = (await import(pathToFileURL(join(ROOT, table)).href)) as { failure: { table: Record<string, Entry> } };
      return Object.entries(failure.table).map(([code, entry]) => ({
        code,
        table,
        message: entry.message(open('details')),
        next: entry.next(open('details')),
      }));
    }),
  );
  return found.flat().sort((a, b) => (a.code < b.code ? -1 : 1));
}

// Stands for any detail: reads as its name, and takes part in whatever a text is made with.
function open(name: string): unknown {
  const text = `‹${name}›`;
  const itself: unknown = new Proxy(
    {},
    {
      get(_, property) {
        if (property === Symbol.toPrimitive || property === 'toString' || property === 'join') return () => text;
        if (property === Symbol.iterator) return () => [itself][Symbol.iterator]();
        if (property === 'map' || property === 'flatMap') return (transform: (item: unknown) => unknown) => [transform(itself)];
        if (property in Array.prototype || property in Number.prototype || property in String.prototype)
          return property === 'length' ? 1 : () => itself;
        return open(String(property));
      },
    },
  );
  return itself;
}

/** The page `docs/errors.md`. */
export function errorsPage(codes: readonly ErrorCode[]): string {
  const room = (table: string) => /^(?:plugins\/)?([^/]+(?:\/kit)?)\//.exec(table)![1]!;
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');
  return [
    '# Error codes',
    '',
    '<!-- Generated from the error tables by `vitest run test/docs -u`; do not edit. -->',
    '',
    'Every error names the thing and the cause, and says what to do next. `‹…›` stands for what it knows of the case.',
    '',
    '| code | room | says | next |',
    '|---|---|---|---|',
    ...codes.map(({ code, table, message, next }) => `| \`${code}\` | ${room(table)} | ${cell(message)} | ${cell(next)} |`),
    '',
  ].join('\n');
}
