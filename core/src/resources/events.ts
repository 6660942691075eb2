import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ResourceClient } from './client.ts';
import type { KubeEvent, KubeObject } from './kinds.ts';
import type { KindApi } from './kube-api.ts';
import { withoutSecrets } from './secrets.ts';

type Recorded = Parameters<ResourceClient['record']>[1];

/** The same event again within this time raises the count of the earlier one. */
const AGGREGATE_MS = 10 * 60_000;
/** Events about one object: so many at once, then one every five minutes. The rest is dropped. */
const BURST = 25;
const REFILL_MS = 5 * 60_000;
/** Objects and events that are remembered; the longest unused are forgotten. */
const REMEMBERED = 4096;
const MAX_MESSAGE_CHARACTERS = 1024;

interface Written {
  readonly event: KubeEvent;
  readonly at: number;
}

export interface EventRecorderOptions {
  readonly api: Pick<KindApi<KubeEvent>, 'create' | 'patch'>;
  readonly component: string;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Writes Events; see `record` of ResourceClient. */
export function createEventRecorder({ api, component, log, now = Date.now }: EventRecorderOptions): ResourceClient['record'] {
  const admits = createSpamFilter(now);
  const written = new Remembered<Promise<Written | undefined>>();

  const write = async (event: KubeEvent, before: Written | undefined): Promise<Written> => {
    const at = now();
    if (before && at - before.at < AGGREGATE_MS) {
      const count = (before.event.count ?? 1) + 1;
      const again = await api.patch(before.event.metadata, { count, lastTimestamp: event.lastTimestamp });
      if (typeof again === 'object') return { event: again.object, at };
    }
    const created = await api.create(event);
    return { event: created === 'exists' ? event : created, at };
  };

  return async (about, given) => {
    const event = eventOf({ about, given, component, at: now() });
    if (!admits(objectKey(event))) return;
    const key = JSON.stringify([objectKey(event), event.type, event.reason, event.message]);
    // One after the other, so that two at once are counted as two.
    const next = (written.get(key) ?? Promise.resolve(undefined)).then((before) =>
      write(event, before).catch((thrown: unknown) => {
        log.warn({ object: event.involvedObject.name, reason: event.reason, err: messageOf(thrown) }, 'an Event could not be written');
        return before;
      }),
    );
    written.set(key, next);
    await next;
  };
}

function objectKey({ source, involvedObject: { apiVersion, kind, namespace, name, uid } }: KubeEvent): string {
  return JSON.stringify([source?.component, apiVersion, kind, namespace, name, uid]);
}

function eventOf({ about, given, component, at }: { about: KubeObject; given: Recorded; component: string; at: number }): KubeEvent {
  const { name, namespace, uid, resourceVersion } = about.metadata;
  const time = new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
  const by = given.component ?? component;
  const involved = { apiVersion: about.apiVersion, kind: about.kind, name, namespace, uid, resourceVersion };
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name.slice(0, 220)}.${uniqueSuffix(at)}`, namespace: namespace ?? 'default' },
    involvedObject: Object.fromEntries(Object.entries(involved).filter(([, value]) => value !== undefined)),
    type: given.type,
    reason: given.reason,
    message: withoutSecrets(given.message).slice(0, MAX_MESSAGE_CHARACTERS),
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    source: { component: by },
    reportingComponent: by,
  };
}

function uniqueSuffix(at: number): string {
  const random = Math.floor(Math.random() * 0x1000000);
  return `${at.toString(16)}${random.toString(16).padStart(6, '0')}`;
}

/** Admits a burst per key, then one each refill. */
export function createSpamFilter(now: () => number): (key: string) => boolean {
  const buckets = new Remembered<{ tokens: number; at: number }>();
  return (key) => {
    const at = now();
    const bucket = buckets.get(key) ?? { tokens: BURST, at };
    const tokens = Math.min(BURST, bucket.tokens + (at - bucket.at) / REFILL_MS);
    buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at });
    return tokens >= 1;
  };
}

/** A map that forgets what was set longest ago. */
class Remembered<V> {
  readonly #values = new Map<string, V>();

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: V): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size > REMEMBERED) this.#values.delete(this.#values.keys().next().value!);
  }
}
