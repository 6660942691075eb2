import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonObject } from './object.ts';

/** What is answered to one request; `text` is sent as it is. */
export interface Answer {
  readonly code: number;
  readonly body: JsonObject | { readonly text: string; readonly contentType?: string };
  readonly headers?: Readonly<Record<string, string>>;
  /** Shown by clients as `Warning:` lines. */
  readonly warnings?: readonly string[];
}

/** A request with what handlers need of it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Aborts when the server closes. That the client goes is the response's `close`. */
  readonly closing: AbortSignal;
}

/** A handler answers, or returns undefined when it writes the response by itself. */
export type Handler = (exchange: Exchange) => Promise<Answer | undefined> | Answer | undefined;

/** Writes an answer; does nothing when the client is gone. */
export function send(response: ServerResponse, { code, body, headers, warnings = [] }: Answer): void {
  if (response.destroyed || response.headersSent) return;
  const [text, contentType] =
    'text' in body && typeof body.text === 'string'
      ? [body.text, body['contentType'] as string | undefined]
      : [`${JSON.stringify(body)}\n`, undefined];
  const bytes = Buffer.from(text, 'utf8');
  for (const warning of warnings) response.appendHeader('Warning', `299 - ${JSON.stringify(printable(warning))}`);
  response.writeHead(code, {
    'Content-Type': contentType ?? 'application/json',
    'Content-Length': bytes.length,
    'Cache-Control': 'no-cache, private',
    ...headers,
  });
  response.end(bytes);
}

// A header may hold neither line ends nor anything beyond latin-1.
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 1000);
}
