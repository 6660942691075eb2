import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import type { Machine } from './machine.ts';

const PREFIX = '[sidero] ';
/** What the kernel keeps of one record. */
const LINE_LIMIT = 976;
/** Levels of syslog: shown on every console at the level set below, unlike the kernel's own chatter. */
const LEVELS = { info: 5, error: 3 } as const;
const CONSOLE_LEVEL = 6;

/** A line as the kernel log takes it: one record, without control characters, at most 976 bytes with the prefix. */
export function kernelLogRecord(line: string, level: keyof typeof LEVELS): string {
  const bytes = Buffer.from(`${PREFIX}${line.replaceAll(/\p{Cc}+/gu, ' ')}`, 'utf8');
  const cut =
    bytes.length <= LINE_LIMIT
      ? bytes.toString()
      : `${bytes
          .subarray(0, LINE_LIMIT - 3)
          .toString()
          .replace(/\ufffd$/, '')}...`;
  return `<${LEVELS[level]}>${cut}\n`;
}

/** Writes to the kernel log, which goes to every console the machine has; to standard output where there is none. */
export function openConsole(): Machine['say'] {
  let fd: number;
  try {
    fd = openSync('/dev/kmsg', 'w');
  } catch {
    return (line) => void process.stdout.write(`${PREFIX}${line}\n`);
  }
  raiseConsoleLevel();
  process.once('exit', () => closeSync(fd));
  return (line, level = 'info') => {
    for (const part of line.split('\n').filter(Boolean)) writeSync(fd, kernelLogRecord(part, level));
  };
}

// With "quiet" the console shows warnings only, and nobody would see what the machine waits for.
function raiseConsoleLevel(): void {
  try {
    const [level, ...rest] = readFileSync('/proc/sys/kernel/printk', 'utf8').trim().split(/\s+/);
    if (Number(level) < CONSOLE_LEVEL) writeFileSync('/proc/sys/kernel/printk', [CONSOLE_LEVEL, ...rest].join(' '));
    writeFileSync('/proc/sys/kernel/printk_devkmsg', 'on');
  } catch {
    // Said with the kernel's own settings, then.
  }
}
