import { setImmediate as nextTurn } from 'node:timers/promises';
import { FAILED, type Image, type IpxeHost, type IpxeOutcome, type RunningIpxe, STOP, type Status, type Stop } from './command.ts';
import { COMMANDS } from './commands.ts';
import { isScript, type Line, parseScript } from './script.ts';
import { Settings } from './settings.ts';

/** One running iPXE. Follows iPXE's own rules of 2024 for words, expansion, `||`, `&&`, labels, chaining and replacing. */
class Ipxe implements RunningIpxe {
  readonly settings: Settings;
  readonly host: IpxeHost;
  kernel: { readonly url: URL; readonly args: readonly string[] } | undefined = undefined;
  readonly initrds: URL[] = [];
  outcome: IpxeOutcome | undefined = undefined;
  replacement: Image | undefined = undefined;
  stop: Stop = STOP.none;
  #lines: readonly Line[] = [];
  #next = 0;
  #location: URL;
  #linesRun = 0;

  constructor(host: IpxeHost, location: URL) {
    this.host = host;
    this.settings = new Settings(host.settings);
    this.#location = location;
  }

  resolve(reference: string): URL | undefined {
    return URL.canParse(reference, this.#location.href) ? new URL(reference, this.#location) : undefined;
  }

  goto(label: string): boolean {
    const at = this.#lines.findIndex((line) => line.label === label);
    if (at < 0) return false;
    this.#next = at;
    this.stop = STOP.line;
    return true;
  }

  finish(outcome: IpxeOutcome): Status {
    this.outcome = outcome;
    this.stop = STOP.machine;
    return 0;
  }

  async execute(image: Image): Promise<Status> {
    let current: Image | undefined = image;
    let status: Status = 0;
    while (current && !this.outcome) {
      this.replacement = undefined;
      status = await this.#runScript(current);
      current = this.replacement;
    }
    return status;
  }

  async #runScript(image: Image): Promise<Status> {
    if (!isScript(image.bytes)) {
      this.host.print(`${image.url.pathname}: not a script`);
      return FAILED;
    }
    const outer = { lines: this.#lines, next: this.#next, location: this.#location };
    this.#lines = parseScript(Buffer.from(image.bytes).toString('utf8'));
    this.#location = image.url;
    const status = await this.#runLines();
    this.#lines = outer.lines;
    this.#next = outer.next;
    this.#location = outer.location;
    return status;
  }

  async #runLines(): Promise<Status> {
    this.#next = 0;
    let status: Status = 0;
    while (this.#next < this.#lines.length) {
      await this.#breathe();
      const line = this.#lines[this.#next++]!;
      status = await this.#runLine(line);
      if (this.#stopped(STOP.script) || status !== 0) break;
    }
    return status;
  }

  // A script may loop for ever without waiting for anything: other machines in this process must go on.
  async #breathe(): Promise<void> {
    this.host.signal.throwIfAborted();
    if (++this.#linesRun % 1000 === 0) await nextTurn();
  }

  async #runLine(line: Line): Promise<Status> {
    let status: Status = 0;
    let due = true;
    for (const { words, join } of line.commands) {
      if (due) status = await this.#runCommand(words.map((word) => this.settings.expand(word)));
      if (this.#stopped(STOP.line)) break;
      due = join === ';' || (join === '&&') === (status === 0);
    }
    return status;
  }

  async #runCommand(words: readonly string[]): Promise<Status> {
    const [name, ...args] = words;
    if (name === undefined) return 0;
    if (Object.hasOwn(COMMANDS, name)) return await COMMANDS[name]!(this, args);
    this.host.print(`${name}: command not found`);
    return FAILED;
  }

  #stopped(level: Stop): boolean {
    const stopped = this.stop >= level;
    if (this.stop <= level) this.stop = STOP.none;
    return stopped;
  }
}

/**
 * Fetches `url` as the script that is built into our boot files does, runs it, and says what becomes of the machine. A script that fails or runs to its
 * end gives the machine back to the firmware, as iPXE does.
 */
export async function runIpxe(host: IpxeHost, url: URL): Promise<IpxeOutcome> {
  const ipxe = new Ipxe(host, url);
  const bytes = await host.fetch(url, 'script');
  const status = bytes ? await ipxe.execute({ url, bytes }) : FAILED;
  return ipxe.outcome ?? { action: 'exit', status };
}
