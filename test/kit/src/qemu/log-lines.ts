import { stripVTControlCharacters } from 'node:util';
import { failure } from './errors.ts';

/** How a line is waited for. */
export interface Wait {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** The lines of a console or a log as they come, to look at and to wait for. */
export class LogLines {
  readonly #name: string;
  readonly #lines: string[] = [];
  readonly #watchers = new Set<() => void>();
  #partial = '';
  #ended: string | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** Complete lines so far, without terminal control sequences and empty lines. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  push(text: string): void {
    const parts = (this.#partial + text).split(/\r*\n|\r+(?!\n|$)/);
    this.#partial = parts.pop() ?? '';
    for (const part of parts) this.#add(part);
    this.#tell();
  }

  /** Nothing will follow; those who still wait are told `why`. */
  end(why: string): void {
    this.#add(this.#partial);
    this.#partial = '';
    this.#ended ??= why;
    this.#tell();
  }

  /**
   * The first line, past or future, that matches.
   * @throws SIDERO_QEMU_LINE_MISSING with the last lines, after `timeoutMs` or when nothing can follow any more
   */
  line(pattern: RegExp, { timeoutMs, signal }: Wait): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    let seen = 0;
    const settle = (done: () => void) => {
      this.#watchers.delete(look);
      signal?.removeEventListener('abort', stop);
      clearTimeout(timer);
      done();
    };
    const stop = () => settle(() => reject(signal?.reason));
    const timer = setTimeout(() => settle(() => reject(this.#missing(pattern, `waited ${timeoutMs} ms`))), timeoutMs);
    const look = () => {
      for (; seen < this.#lines.length; seen++) {
        const match = pattern.exec(this.#lines[seen]!);
        if (match) return settle(() => resolve(match));
      }
      if (this.#ended !== undefined) settle(() => reject(this.#missing(pattern, this.#ended!)));
    };
    signal?.addEventListener('abort', stop);
    this.#watchers.add(look);
    if (signal?.aborted) stop();
    else look();
    return promise;
  }

  #add(raw: string): void {
    // Firmware draws menus: cursor moves, colours, and the bytes it erases with.
    const line = stripVTControlCharacters(raw)
      .replaceAll(/\p{Cc}/gu, '')
      .trimEnd();
    if (line !== '') this.#lines.push(line);
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #missing(pattern: RegExp, why: string) {
    return failure('SIDERO_QEMU_LINE_MISSING', { name: this.#name, pattern: String(pattern), why, tail: this.#lines.slice(-25).join('\n') });
  }
}
