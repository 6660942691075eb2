import { expect, test } from 'vitest';
import type { Change } from './store.ts';
import { WatchHistory } from './watch.ts';

const change = (revision: number, sizeBytes = 10): Change => ({
  type: 'MODIFIED',
  resource: 'widgets',
  namespace: '',
  name: 'w',
  revision,
  json: 'x'.repeat(sizeBytes / 2),
  previous: 'y'.repeat(sizeBytes / 2),
});
const publish = (history: WatchHistory, count: number, sizeBytes?: number) => {
  for (let revision = 1; revision <= count; revision++) history.publish([change(revision, sizeBytes)]);
};
const known = (history: WatchHistory) => history.after('widgets', history.reaches('widgets', 0) ? 0 : firstReached(history))?.length;
const firstReached = (history: WatchHistory) => Array.from({ length: 1000 }, (_, revision) => revision).find((at) => history.reaches('widgets', at))!;

test('as many changes as are wanted are known, and a quarter more at most', () => {
  const history = new WatchHistory({ size: 100, start: 0 });
  publish(history, 90);
  expect(history.after('widgets', 0)?.length).toBe(90);
  publish(history, 500);
  expect(history.after('widgets', 1)).toBeUndefined();
  expect(known(history)).toBeGreaterThanOrEqual(100);
  expect(known(history)).toBeLessThanOrEqual(125);
});

test('of large objects fewer changes are known, but always the newest', () => {
  const history = new WatchHistory({ size: 100, start: 0, bytes: 1000 });
  publish(history, 50, 200);
  expect(known(history)).toBeGreaterThanOrEqual(5);
  expect(known(history)).toBeLessThanOrEqual(6);
  history.publish([change(51, 10_000)]);
  expect(history.after('widgets', 50)?.length).toBe(1);
  expect(history.after('widgets', 49)).toBeUndefined();
});
