import { Writable } from 'node:stream';
import { createLogger, type PowerSession, type Server } from '@sidero/core';
import { type IpmiOptions, ipmiDriver } from './driver.ts';
import type { DropReason } from './client/exchange.ts';

/** Patience with a BMC that answers: a busy host is to cause no repetitions, which tests count. */
const OPTIONS: IpmiOptions = { cipherSuites: [17, 3], privilege: 'administrator', timeoutMs: 10_000, retries: 3 };

/** Patience with one that doesn't: 0.2 s. */
export const QUICK = { timeoutMs: 25 };

export const LOGIN = { user: 'admin', pass: 'secret' };

export const never: AbortSignal = new AbortController().signal;

/** A Server with a BMC there. */
export function aServerAt(bmc: { readonly port: number; readonly endpoint?: string; readonly interface?: string }): Server {
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name: '4c4c4544-0001' },
    spec: { accepted: true, bmc: { endpoint: '127.0.0.1', ...bmc } },
  };
}

/** A driver, with what it dropped and logged. */
export function aDriver(options: Partial<IpmiOptions> = {}) {
  const dropped: DropReason[] = [];
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const log = createLogger({ level: 'info', destination });
  const driver = ipmiDriver({ ...OPTIONS, ...options }, { log, dropped: (reason) => dropped.push(reason) });
  return { driver, dropped, lines };
}

/** A session that must have the ability. */
export function able<K extends keyof PowerSession>(session: PowerSession, ability: K): NonNullable<PowerSession[K]> {
  const verb = session[ability];
  if (!verb) throw new Error(`no ${String(ability)}`);
  return verb;
}
