import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { paths, ROOT } from '../architecture/source-tree.ts';

/** A fenced block. */
export interface Block {
  /** What stands behind the fence: `ts`, `sh`, … */
  readonly language: string;
  readonly text: string;
  /** Line of its first line in the document. */
  readonly line: number;
}

/** A link to a place in this repository. */
export interface Link {
  readonly target: string;
  readonly line: number;
}

/** A Markdown file of ours. */
export interface Document {
  /** From the root. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  readonly links: readonly Link[];
  /** What a `#` link may name. */
  readonly anchors: ReadonlySet<string>;
}

/** Every Markdown file of ours. The template's is about the package that it becomes, and looked at there. */
export function documents(): readonly Document[] {
  return paths('*.md', 'core/**/*.md', 'image/*.md', 'plugins/**/*.md', 'docs/**/*.md', 'test/**/*.md')
    .filter((path) => !path.startsWith('core/template/'))
    .map((path) => parseDocument(path, readFileSync(join(ROOT, path), 'utf8')));
}

/** Reads blocks, links and headings; links inside blocks are text. */
export function parseDocument(path: string, text: string): Document {
  const blocks: Block[] = [];
  const prose: { text: string; line: number }[] = [];
  let fence: { language: string; lines: string[]; line: number } | undefined;
  text.split('\n').forEach((line, index) => {
    const mark = /^\s*```(.*)$/.exec(line);
    if (mark && fence) {
      blocks.push({ language: fence.language, text: fence.lines.join('\n'), line: fence.line });
      fence = undefined;
    } else if (mark) fence = { language: mark[1]!.trim(), lines: [], line: index + 2 };
    else if (fence) fence.lines.push(line);
    else prose.push({ text: line, line: index + 1 });
  });
  const links = prose.flatMap(({ text: line, line: number }) =>
    [...line.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => ({ target: target!, line: number })),
  );
  const anchors = new Set(prose.flatMap(({ text: line }) => /^#+\s+(.*)$/.exec(line)?.[1] ?? []).map(slug));
  return { path, text, blocks, links: links.filter(({ target }) => !/^[a-z]+:/.test(target)), anchors };
}

// As GitHub makes them.
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}

/** The rows of the first table below a heading: the text in backticks of each first cell. */
export function tableKeys({ text }: Document, heading: RegExp): readonly string[] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => heading.test(line));
  if (start === -1) return [];
  const end = lines.findIndex((line, index) => index > start && /^#+\s/.test(line));
  return lines.slice(start, end === -1 ? undefined : end).flatMap((line) => /^\|\s*`([^`]+)`/.exec(line)?.[1] ?? []);
}
