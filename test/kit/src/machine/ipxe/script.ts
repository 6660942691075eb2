/** How the next command on a line depends on the one before it; undefined at the end of the line. */
export type Join = '||' | '&&' | ';';

/** One command of a line, its words not yet expanded. */
export interface Command {
  readonly words: readonly string[];
  readonly join?: Join;
}

/** One line of a script. */
export interface Line {
  readonly label?: string;
  readonly commands: readonly Command[];
}

// What C's isspace() takes for a blank; JavaScript's \s would also split at Unicode spaces.
const BLANKS = /[ \t\n\v\f\r]+/;

/** The words of a line; there is no quoting in iPXE. */
export function splitWords(text: string): readonly string[] {
  return text.split(BLANKS).filter((word) => word !== '');
}

/** The commands of a line. A word that starts with `#` begins a comment, wherever it stands. */
export function splitCommands(text: string): readonly Command[] {
  const commands: Command[] = [];
  let words: string[] = [];
  for (const word of splitWords(text)) {
    if (word.startsWith('#')) break;
    if (word === '||' || word === '&&' || word === ';') {
      commands.push({ words, join: word });
      words = [];
    } else words.push(word);
  }
  return [...commands, { words }];
}

/** True for what iPXE takes for a script: `#!ipxe` (or `#!gpxe`) and a blank at the very beginning. */
export function isScript(image: Uint8Array): boolean {
  return /^#![ig]pxe[ \t\n\v\f\r]/.test(Buffer.from(image.subarray(0, 7)).toString('latin1'));
}

/** The lines of a script: carriage returns dropped, a backslash at the end joins lines, a label may be followed by a command. */
export function parseScript(text: string): readonly Line[] {
  const lines: Line[] = [];
  let pending = '';
  for (const raw of text.replace(/\n$/, '').split('\n')) {
    const whole = (pending + raw).replace(/\r$/, '');
    pending = whole.endsWith('\\') ? whole.slice(0, -1) : '';
    if (!whole.endsWith('\\')) lines.push(parseLine(whole));
  }
  return lines;
}

function parseLine(text: string): Line {
  const match = /^[ \t\v\f\r]*:(\S*)(.*)$/.exec(text);
  return match ? { label: match[1]!, commands: splitCommands(match[2]!) } : { commands: splitCommands(text) };
}
