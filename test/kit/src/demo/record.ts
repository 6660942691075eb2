/** `npm run demo:record`: runs the demo and writes docs/demo.svg, what a terminal of 110 columns shows of it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runDemo } from './demo.ts';
import { demoOptions } from './options.ts';

const TARGET = fileURLToPath(new URL('../../../../docs/demo.svg', import.meta.url));
const ESCAPE = String.fromCharCode(27);
const COLUMNS = 110;
const LINE_PX = 19;
const CHARACTER_PX = 8.45;
const MARGIN_PX = 12;
/** A picture every so often; more would only make the file large. */
const STEP_MS = 300;
/** How long the end is shown before it starts again. */
const END_MS = 4000;

interface Picture {
  readonly atMs: number;
  readonly lines: readonly string[];
}

/** A control sequence, a line break, or what stands between. */
const PARTS = new RegExp(`${ESCAPE}\\[\\??([\\d;]*)([A-Za-z])|\\n|[^${ESCAPE}\\n]+`, 'g');

/** As much of a terminal as the display uses: it moves up and down, to the start of a line, and erases. */
class Screen {
  readonly lines: string[] = [''];
  #row = 0;
  #column = 0;

  write(text: string): void {
    for (const [part, count = '', order] of text.matchAll(PARTS)) {
      if (part === '\n') this.#go(this.#row + 1, 0);
      else if (order === undefined) this.#put(part);
      else this.#obey(order, count);
    }
  }

  #go(row: number, column: number): void {
    this.#row = Math.max(0, row);
    this.#column = column;
    while (this.lines.length <= this.#row) this.lines.push('');
  }

  #put(text: string): void {
    const line = this.lines[this.#row]!.padEnd(this.#column);
    this.lines[this.#row] = line.slice(0, this.#column) + text + line.slice(this.#column + text.length);
    this.#column += text.length;
  }

  #obey(order: string, count: string): void {
    const line = this.lines[this.#row]!;
    if (order === 'A') this.#go(this.#row - Number(count || 1), this.#column);
    if (order === 'B') this.#go(this.#row + Number(count || 1), this.#column);
    if (order === 'G') this.#column = 0;
    if (order === 'K') this.lines[this.#row] = count === '2' ? '' : line.slice(0, this.#column);
  }
}

/** A terminal that keeps what was shown on it. */
class Recorder extends Writable {
  readonly isTTY = true;
  readonly columns = COLUMNS;
  readonly pictures: Picture[] = [];
  readonly #startedMs = performance.now();
  readonly #screen = new Screen();

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#screen.write(chunk.toString());
    const now = performance.now() - this.#startedMs;
    const last = this.pictures.at(-1);
    const isSoon = last !== undefined && now - last.atMs < STEP_MS;
    if (isSoon) this.pictures.pop();
    this.pictures.push({ atMs: isSoon ? last.atMs : now, lines: [...this.#screen.lines] });
    done();
  }
}

function svgOf(pictures: readonly Picture[]): string {
  const totalMs = pictures.at(-1)!.atMs + END_MS;
  const height = Math.max(...pictures.map(({ lines }) => lines.length)) * LINE_PX + 2 * MARGIN_PX;
  const width = Math.round(COLUMNS * CHARACTER_PX + 2 * MARGIN_PX);
  const label = 'The demo: three simulated machines network-boot from nothing to the nodes of a cluster, and stream their logs';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" role="img" aria-label="${label}">`,
    '<style>',
    'text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d8dee9;white-space:pre}',
    '.done{fill:#a3be8c}.failed{fill:#bf616a}.log{fill:#88c0d0}.f{visibility:hidden}',
    ...pictures.map((picture, index) => animation(index, { fromMs: picture.atMs, toMs: pictures[index + 1]?.atMs ?? totalMs, totalMs })),
    // Where nothing moves, the end is what counts.
    `@media (prefers-reduced-motion:reduce){.f{animation:none!important}#f${pictures.length - 1}{visibility:visible}}`,
    '</style>',
    `<rect width="${width}" height="${height}" rx="8" fill="#2e3440"/>`,
    ...pictures.map(({ lines }, index) => `<g class="f" id="f${index}">\n${lines.map(textOf).join('')}</g>`),
    '</svg>',
    '',
  ].join('\n');
}

function animation(index: number, { fromMs, toMs, totalMs }: { fromMs: number; toMs: number; totalMs: number }): string {
  const percent = (ms: number) => `${((100 * ms) / totalMs).toFixed(2)}%`;
  const steps = `0%{visibility:hidden}${percent(fromMs)}{visibility:visible}${percent(toMs)}{visibility:hidden}`;
  return `@keyframes k${index}{${steps}}#f${index}{animation:k${index} ${(totalMs / 1000).toFixed(1)}s step-end infinite}`;
}

function textOf(line: string, index: number): string {
  if (line.trim() === '') return '';
  const escaped = line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
  const colour = classOf(line);
  return `<text x="${MARGIN_PX}" y="${MARGIN_PX + LINE_PX * index + 13}"${colour && ` class="${colour}"`}>${escaped}</text>\n`;
}

function classOf(line: string): string {
  if (line.startsWith('  | ')) return 'log';
  if (/^ {2}\S+ +failed/.test(line)) return 'failed';
  return /^ {2}\S+ +(off .* {2}clean|running .*)$|^all /.test(line) ? 'done' : '';
}

const dataDir = await mkdtemp(join(tmpdir(), 'sidero-demo-'));
const recorder = new Recorder();
try {
  await runDemo({ options: demoOptions(['--once', '--data-dir', dataDir])!, output: recorder, signal: new AbortController().signal });
  // Where the reader's own demo has its files.
  const pictures = recorder.pictures.map(({ atMs, lines }) => ({ atMs, lines: lines.map((line) => line.replaceAll(dataDir, '.sidero/demo')) }));
  await writeFile(TARGET, svgOf(pictures));
  process.stdout.write(`${pathToFileURL(TARGET).href}: ${pictures.length} pictures\n`);
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
process.exit();
