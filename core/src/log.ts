import { type DestinationStream, destination as toDescriptor, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

/** Key names whose values never reach a log line, at any depth. */
const SECRET_KEYS = new Set(['pass', 'password', 'token', 'secret', 'authorization', 'user', 'privateKey', 'private-key']);
const MASK = '[Redacted]';
/** Objects below this are not logged at all. */
const MAX_DEPTH = 5;

/** The one logger: pretty on a terminal, else JSON lines on `destination` (default stderr). */
export function createLogger(options: { level?: string; destination?: NodeJS.WritableStream & { isTTY?: boolean } } = {}): Logger {
  const settings = {
    level: options.level ?? process.env['SIDERO_LOG_LEVEL'] ?? 'info',
    timestamp: stdTimeFunctions.isoTime,
    formatters: { log: (line: Record<string, unknown>) => masked(line, 0) as Record<string, unknown> },
    serializers: { err: (error: Error) => masked(stdSerializers.err(error), 0) },
  };
  const destination = options.destination ?? process.stderr;
  if (destination.isTTY) return pino(settings, pretty({ destination, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l', sync: true }));
  return pino({ ...settings, base: null }, options.destination ?? stderrInBatches());
}

// What comes while a write is under way goes out with the next: thousands of machines that boot do not wait for a log.
// pino itself writes the rest when the process ends.
function stderrInBatches(): DestinationStream {
  return toDescriptor({ dest: 2, sync: false });
}

// The value itself when nothing in it is secret: most lines are flat and small.
function masked(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Error || value instanceof Date || ArrayBuffer.isView(value)) return value;
  if (depth === MAX_DEPTH) return '[...]';
  let copy: Record<string, unknown> | undefined;
  for (const [key, inner] of Object.entries(value)) {
    const shown = SECRET_KEYS.has(key) && inner !== undefined ? MASK : masked(inner, depth + 1);
    if (shown === inner) continue;
    copy ??= Array.isArray(value) ? ([...value] as unknown as Record<string, unknown>) : { ...value };
    copy[key] = shown;
  }
  return copy ?? value;
}
