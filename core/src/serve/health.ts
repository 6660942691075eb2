import { createServer } from 'node:http';
import { listenOn } from './listener.ts';

/** One check: undefined when it passes, else why not. */
export interface HealthCheck {
  readonly name: string;
  check(): string | undefined;
  /** What to know although it passes. */
  note?(): string | undefined;
}

/** What the health listener answers from. */
export interface HealthOptions {
  readonly address: string;
  readonly live: readonly HealthCheck[];
  readonly ready: readonly HealthCheck[];
  readonly signal: AbortSignal;
}

/**
 * Serves `/healthz` and `/readyz` with their sub-paths and `?verbose`, as Kubernetes' own components word them.
 * Gives the port. @throws SIDERO_LISTEN_FAILED
 */
export async function serveHealth(options: HealthOptions): Promise<number> {
  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 5000 }, (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const [, root = '', name] = url.pathname.split('/');
    const checks = root === 'healthz' ? options.live : root === 'readyz' ? options.ready : undefined;
    const chosen = checks?.filter((check) => name === undefined || check.name === name);
    if (!chosen || (name !== undefined && chosen.length === 0)) {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found\n');
      return;
    }
    const { status, body } = report(root, chosen, url.searchParams.has('verbose'));
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' }).end(body);
  });
  return listenOn(server, { what: 'the health listener', address: options.address, signal: options.signal });
}

function report(root: string, checks: readonly HealthCheck[], isVerbose: boolean): { status: number; body: string } {
  const results = checks.map(({ name, check, note }) => ({ name, problem: check(), note: note?.() }));
  const failed = results.some(({ problem }) => problem !== undefined);
  if (!failed && !isVerbose) return { status: 200, body: 'ok' };
  const lines = results.map(({ name, problem, note }) =>
    problem === undefined ? `[+]${name} ok${note === undefined ? '' : `, but: ${note}`}` : `[-]${name} failed: ${problem}`,
  );
  return { status: failed ? 500 : 200, body: `${lines.join('\n')}\n${root} check ${failed ? 'failed' : 'passed'}\n` };
}
