/** `npm run demo:record`: runs the demo and writes docs/demo.svg, what a terminal of 110 columns shows of it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { runDemo } from './demo.ts';
import { demoOptions } from './options.ts';

const TARGET = fileURLToPath(new URL('../../../../docs/demo.svg', import.meta.url));
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

/** A terminal that keeps what is shown on it. */
class Recorder extends Writable {
  readonly isTTY = true;
  readonly columns = COLUMNS;
  readonly pictures: Picture[] = [];
  readonly #startedMs = performance.now();
  #frame: readonly string[] = [];
  #rest = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const text = chunk.toString();
    const plain = stripVTControlCharacters(text);
    // What the display writes begins by going back over what is there; what comes after it does not.
    if (plain !== text || this.pictures.length === 0) this.#frame = plain.trimEnd().split('\n');
    else this.#rest += plain;
    const atMs = performance.now() - this.#startedMs;
    const last = this.pictures.at(-1);
    const picture = { atMs: last && atMs - last.atMs < STEP_MS ? last.atMs : atMs, lines: [...this.#frame, ...this.#rest.trimEnd().split('\n')] };
    if (last && picture.atMs === last.atMs) this.pictures.pop();
    this.pictures.push(picture);
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
