import { setTimeout as pause } from 'node:timers/promises';
import type * as z from 'zod';
import { documentOf, isTaken, refusal } from './answers.ts';
import type { BmcFailures } from './bmc-failures.ts';
import { Collection, read, Task, taskTextOf } from './documents.ts';
import { type Ask, type Reply, retryAfterMs } from './exchange.ts';
import type { RedfishService } from './service.ts';

/** How long we wait, and how often we look. */
export interface Pace {
  /** Longest wait for a task that an order began. */
  readonly taskMs: number;
  /** Between two looks at a task that does not say when to come back. */
  readonly lookMs: number;
}

const RUNNING = ['New', 'Starting', 'Running', 'Pending', 'Service', 'Stopping', 'Suspended', 'Interrupted'];
const FAILED = ['Exception', 'Killed', 'Cancelled', 'Cancelling'];
const MAX_PAGES = 16;

/** A resource, and where it is. */
export interface Found<D> {
  readonly path: string;
  readonly document: D;
  /** Of this version of the resource; undefined where the service has none. */
  readonly etag: string | undefined;
}

/** A service in the name of one Server: reads resources, gives orders and waits until they are done. */
export class ServiceClient {
  readonly service: RedfishService;
  readonly failures: BmcFailures;
  readonly #pace: Pace;

  constructor(service: RedfishService, failures: BmcFailures, pace: Pace) {
    this.service = service;
    this.failures = failures;
    this.#pace = pace;
  }

  /** Reads what a link leads to. @throws SIDERO_BMC_FAULT when it cannot be read, and what `RedfishService.ask` throws */
  async get<S extends z.ZodObject>(link: string, shape: S, signal: AbortSignal): Promise<Found<z.output<S>>> {
    const path = this.service.pathOf(link, this);
    const reply = await this.service.ask({ method: 'GET', path }, { failures: this.failures, signal });
    const document = documentOf(reply, shape, this);
    const inside: unknown = '@odata.etag' in document ? document['@odata.etag'] : undefined;
    const etag = reply.header('etag') ?? (typeof inside === 'string' ? inside : undefined);
    return { path, document, etag: etag !== undefined && /^[\x20-\x7e]+$/.test(etag) ? etag : undefined };
  }

  /** The links of a collection, over all its pages. */
  async members(link: string, signal: AbortSignal): Promise<readonly string[]> {
    const members: string[] = [];
    let next: string | undefined = link;
    for (let page = 0; next !== undefined && page < MAX_PAGES; page++) {
      const { document }: Found<z.output<typeof Collection>> = await this.get(next, Collection, signal);
      members.push(...(document.Members ?? []).map((member) => member['@odata.id']));
      next = document['Members@odata.nextLink'];
    }
    return members;
  }

  /** Gives an order; an answer that it was refused is given as it is. A task that it began has ended well when this returns. */
  async order(ask: Ask, signal: AbortSignal): Promise<Reply> {
    const call = { failures: this.failures, signal };
    const path = this.service.pathOf(ask.path, this);
    const reply = await this.service.ask({ ...ask, path }, call);
    const monitor = reply.status === 202 ? this.service.madeBy(reply) : undefined;
    if (monitor !== undefined) await this.#ended(monitor, { reply, signal });
    return reply;
  }

  /** As `order`, where a refusal is an error. */
  async orderTaken(ask: Ask, signal: AbortSignal): Promise<void> {
    const reply = await this.order(ask, signal);
    if (!isTaken(reply)) throw refusal(reply, this);
  }

  async #ended(path: string, { reply: first, signal }: { readonly reply: Reply; readonly signal: AbortSignal }): Promise<void> {
    const end = Date.now() + this.#pace.taskMs;
    let reply = first;
    for (;;) {
      const waitMs = Math.max(retryAfterMs(reply, Date.now()) ?? 0, this.#pace.lookMs);
      if (Date.now() + waitMs > end) throw this.failures.busy(`${first.asked}: its task still runs after ${this.#pace.taskMs} ms`);
      await pause(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      reply = await this.service.ask({ method: 'GET', path }, { failures: this.failures, signal });
      // Some services forget a task as soon as it is done.
      if (reply.status === 404 || reply.status === 410) return;
      if (!isTaken(reply)) throw refusal(reply, this);
      if (this.#isEnded(reply, first.asked)) return;
    }
  }

  #isEnded(reply: Reply, asked: string): boolean {
    const task = read(Task, reply.text);
    const state = task?.TaskState ?? '';
    if (FAILED.includes(state) || (state === 'Completed' && task?.TaskStatus === 'Critical')) {
      const told = task && taskTextOf(task);
      throw this.failures.fault(`${asked}: its task ended as ${state}${told === undefined ? '' : `, "${this.service.clause(told)}"`}`);
    }
    return reply.status !== 202 && !RUNNING.includes(state);
  }
}
