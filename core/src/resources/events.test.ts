import { Writable } from 'node:stream';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { createEventRecorder, createSpamFilter } from './events.ts';
import type { KubeEvent, KubeObject } from './kinds.ts';

const MINUTE_MS = 60_000;
const about: KubeObject = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: 'a', uid: 'u' } };
const event = { type: 'Normal', reason: 'Accepted', message: 'serial X is in list' } as const;
const log = createLogger({ level: 'silent', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });

let now: number;
let created: KubeEvent[];
let patches: unknown[];
let isForgotten: boolean;

beforeEach(() => {
  now = Date.parse('2026-01-02T03:04:05.678Z');
  created = [];
  patches = [];
  isForgotten = false;
});

function aRecorder() {
  const api = {
    async create(made: KubeEvent) {
      created.push(made);
      return made;
    },
    async patch(_ref: object, patch: unknown) {
      patches.push(patch);
      return isForgotten ? ('missing' as const) : { object: { ...created.at(-1)!, ...(patch as Partial<KubeEvent>) } };
    },
  };
  return createEventRecorder({ api, component: 'sidero-test', log, now: () => now });
}

describe('Events', () => {
  test('carry times to the second, who and what they are about', async () => {
    await aRecorder()(about, event);
    expect(created).toMatchObject([
      {
        metadata: { namespace: 'default' },
        firstTimestamp: '2026-01-02T03:04:05Z',
        lastTimestamp: '2026-01-02T03:04:05Z',
        count: 1,
        reportingComponent: 'sidero-test',
      },
    ]);
    expect(created[0]!.involvedObject).toEqual({ apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', name: 'a', uid: 'u' });
  });

  test('are counted on as long as they repeat within ten minutes of each other', async () => {
    const record = aRecorder();
    await record(about, event);
    for (const _repetition of [1, 2]) {
      now += 9 * MINUTE_MS;
      await record(about, event);
    }
    expect(patches).toEqual([
      { count: 2, lastTimestamp: '2026-01-02T03:13:05Z' },
      { count: 3, lastTimestamp: '2026-01-02T03:22:05Z' },
    ]);
    now += 10 * MINUTE_MS;
    await record(about, event);
    expect(created).toHaveLength(2);
  });

  test('that the API has forgotten are made anew', async () => {
    const record = aRecorder();
    await record(about, event);
    isForgotten = true;
    await record(about, event);
    expect(created).toHaveLength(2);
  });

  test('have messages of bounded length', async () => {
    await aRecorder()(about, { ...event, message: 'x'.repeat(100_000) });
    expect(created[0]!.message).toHaveLength(1024);
  });

  test('about one object come in a burst of 25, then one every five minutes', () => {
    const admits = createSpamFilter(() => now);
    const admitted = (count: number) => Array.from({ length: count }, () => admits('a')).filter(Boolean).length;
    expect(admitted(100)).toBe(25);
    now += 5 * MINUTE_MS;
    expect(admitted(10)).toBe(1);
    now += 24 * 60 * MINUTE_MS;
    expect(admitted(100)).toBe(25);
    expect(admits('b')).toBe(true);
  });
});
