import type { SideroError } from '@sidero/core';
import type * as z from 'zod';
import { read } from './documents.ts';
import type { Call, Reply } from './exchange.ts';

type About = Pick<Call, 'failures'>;

// Status codes by which a service says that it has no such thing.
const NOT_OFFERED = [404, 405, 501];

/** Whether an order was taken. */
export function isTaken({ status }: Reply): boolean {
  return status >= 200 && status < 300;
}

/** What it means that an order was not taken. */
export function refusal(reply: Reply, { failures }: About): SideroError {
  if (reply.status === 401 || reply.status === 403) return failures.auth(textOf(reply));
  return isAbsent(reply) ? failures.unsupported(textOf(reply)) : failures.fault(textOf(reply));
}

/** Whether the service says that it has no such thing. */
export function isAbsent({ status }: Reply): boolean {
  return NOT_OFFERED.includes(status);
}

/** A resource in one of our shapes. @throws SIDERO_BMC_AUTH, or SIDERO_BMC_FAULT when it cannot be read or is no JSON object */
export function documentOf<S extends z.ZodObject>(reply: Reply, shape: S, { failures }: About): z.output<S> {
  if (reply.status !== 200) throw reply.status === 401 || reply.status === 403 ? failures.auth(textOf(reply)) : failures.fault(textOf(reply));
  const document = read(shape, reply.text);
  if (document === undefined) throw failures.fault(`${reply.asked}: the answer is no JSON object${quoted(reply)}`);
  return document;
}

const textOf = (reply: Reply) => `${reply.asked}: status ${reply.status}${quoted(reply)}`;

function quoted(reply: Reply): string {
  const told = reply.told();
  return told === '' ? '' : `, "${told}"`;
}
