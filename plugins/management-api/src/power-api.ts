import { failure, messageOf, orAborted, SideroError } from '@sidero/core';
import { type Dispatcher, Pool } from 'undici';

/** What errors say of the server and its API. */
interface About {
  readonly server: string;
  readonly driver: string;
  /** As spec.managementApi.endpoint names it. */
  readonly device: string;
}

const CALLS = {
  on: { method: 'POST', path: '/poweron' },
  off: { method: 'POST', path: '/poweroff' },
  cycle: { method: 'POST', path: '/reboot' },
  networkBootOnce: { method: 'POST', path: '/pxeboot' },
  status: { method: 'GET', path: '/status' },
} as const;

/** Everything that the API takes. */
export type Call = keyof typeof CALLS;

/** The power API of one machine. */
export interface PowerApi {
  /**
   * The body of the answer, once its status is 200; anything else is an error.
   * @throws SIDERO_BMC_AUTH, SIDERO_BMC_BUSY, SIDERO_BMC_FAULT, SIDERO_BMC_UNREACHABLE, SIDERO_BMC_UNSUPPORTED
   */
  ask(call: Call, signal: AbortSignal): Promise<string>;
  fault(call: Call, problem: string): SideroError;
  close(): Promise<void>;
}

type CodeOfStatus = 'SIDERO_BMC_AUTH' | 'SIDERO_BMC_BUSY' | 'SIDERO_BMC_UNSUPPORTED';

const CODE_BY_STATUS: ReadonlyMap<number, CodeOfStatus> = new Map([
  [401, 'SIDERO_BMC_AUTH'],
  [403, 'SIDERO_BMC_AUTH'],
  [404, 'SIDERO_BMC_UNSUPPORTED'],
  [405, 'SIDERO_BMC_UNSUPPORTED'],
  [429, 'SIDERO_BMC_BUSY'],
  [501, 'SIDERO_BMC_UNSUPPORTED'],
  [503, 'SIDERO_BMC_BUSY'],
]);
const MAX_BODY_BYTES = 64 * 1024;

/**
 * Readies the API at `about.device`; connects with the first call. No redirect is followed, and no proxy is used, whatever the environment says.
 * @throws SIDERO_BMC_UNREACHABLE when the endpoint names no API
 */
export function openPowerApi(about: About, timeoutMs: number): PowerApi {
  const unreachable = (problem: string, cause?: unknown) => failure('SIDERO_BMC_UNREACHABLE', { ...about, problem, cause });
  const at = placeOf(about.device);
  if (!at) throw unreachable('spec.managementApi.endpoint is neither host:port nor an http:// or https:// URL without a login');
  // No connection is kept: a machine that is started anew may answer from a new process.
  const pool = new Pool(at.origin, { pipelining: 0, connections: 1 });
  const fault = (call: Call, problem: string) => failure('SIDERO_BMC_FAULT', { ...about, problem: `${textOf(call)}: ${problem}` });
  const ask = async (call: Call, signal: AbortSignal) => {
    const { method, path } = CALLS[call];
    const inTime = AbortSignal.timeout(timeoutMs);
    try {
      const either = AbortSignal.any([signal, inTime]);
      // undici heeds a signal only when it is connected: who takes a connection and says nothing in the TLS handshake would hold us.
      const answer = await orAborted(pool.request({ method, path: `${at.prefix}${path}`, signal: either }), either);
      const body = await bodyOf(answer);
      if (answer.statusCode === 200 && body !== undefined) return body;
      const code = CODE_BY_STATUS.get(answer.statusCode);
      const problem =
        answer.statusCode === 200 ? `an answer of more than ${MAX_BODY_BYTES} bytes` : `API error: ${answer.statusCode} ${answer.statusText}`;
      throw code ? failure(code, { ...about, problem: `${textOf(call)}: ${problem}` }) : fault(call, problem);
    } catch (thrown) {
      signal.throwIfAborted();
      if (thrown instanceof SideroError) throw thrown;
      throw unreachable(`${textOf(call)}: ${inTime.aborted ? `no whole answer in ${timeoutMs} ms` : messageOf(thrown)}`, thrown);
    }
  };
  return { ask, fault, close: () => pool.destroy() };
}

const textOf = (call: Call) => `${CALLS[call].method} ${CALLS[call].path}`;

/** Where an endpoint is; undefined when it is none. Without a scheme it is plain HTTP, as in the original. */
export function placeOf(endpoint: string): { readonly origin: string; readonly prefix: string } | undefined {
  const url = URL.parse(endpoint.includes('://') ? endpoint : `http://${endpoint}`);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) return undefined;
  return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') };
}

/** The body as text; undefined when it is too long. */
async function bodyOf({ body }: Dispatcher.ResponseData): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    // Leaving the loop ends the connection.
    if (size > MAX_BODY_BYTES) return undefined;
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString('utf8');
}
