import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { talosProgram } from './program.ts';

/** What Talos is asked about a configuration. */
export interface Question {
  readonly config: string;
  /** Merged into it first, as Talos recognises and merges them. */
  readonly patches?: readonly string[];
  /** Also checks it as on a machine with a disk. */
  readonly validate?: boolean;
}

/** What Talos makes of it. */
export interface Answer {
  /** The configuration as Talos writes it. */
  readonly config?: string;
  readonly warnings?: readonly string[];
  readonly problem?: string;
}

/** Talos' own code that reads, merges and checks configurations. */
export interface TalosConfig extends AsyncDisposable {
  /** Questions may be asked at once; they are answered in their order. */
  ask(question: Question): Promise<Answer>;
}

export function startTalosConfig(): TalosConfig {
  const child: ChildProcess = spawn(talosProgram(), ['config'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const waiting: { resolve(answer: Answer): void; reject(thrown: Error): void }[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => waiting.shift()?.resolve(JSON.parse(line) as Answer));
  child.stdin!.on('error', () => {});
  child.once('close', (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`talos config ended with ${code}`));
  });
  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin!.write(`${JSON.stringify(question)}\n`);
      }),
    [Symbol.asyncDispose]: async () => {
      child.stdin!.end();
      await ended;
    },
  };
}
