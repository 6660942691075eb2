import { type Logger, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

// Key names whose values never reach a log line, at any of the depths we log.
const SECRET_KEYS = ['pass', 'password', 'token', 'secret', 'authorization', 'user', 'privateKey', 'private-key'];

/** The paths pino masks: each secret key on the line itself and up to two levels below. */
export const redactedPaths: readonly string[] = SECRET_KEYS.flatMap((key) => {
  const quoted = `["${key}"]`;
  return [quoted.slice(0), `*${quoted}`, `*.*${quoted}`];
});

/** The one logger: pretty on a terminal, else JSON lines on `destination` (default stderr). */
export function createLogger(options: { level?: string; destination?: NodeJS.WritableStream & { isTTY?: boolean } } = {}): Logger {
  const destination = options.destination ?? process.stderr;
  const settings = {
    level: options.level ?? process.env['SIDERO_LOG_LEVEL'] ?? 'info',
    redact: [...redactedPaths],
    timestamp: stdTimeFunctions.isoTime,
  };
  if (!destination.isTTY) return pino({ ...settings, base: null }, destination);
  return pino(settings, pretty({ destination, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l', sync: true }));
}
