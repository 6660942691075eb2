import { expect, test } from 'vitest';
import { Reminders } from './reminders.ts';

const ref = { namespace: 'default', name: 'cp-1' };
const at = (minutes: number) => new Date(minutes * 60_000);
const wait =
  (afterMinutes: number) =>
  (reminders: Reminders, minute: number, what = 'a') =>
    reminders.isDue(ref, what, { now: at(minute), afterMs: afterMinutes * 60_000 });

test('what usually ends by itself is told once it has lasted, and then every half hour', () => {
  const reminders = new Reminders();
  const due = [0, 5, 10, 11, 39, 40, 41].filter((minute) => wait(10)(reminders, minute));
  expect(due).toEqual([10, 40]);
});

test('what does not is told at once', () => {
  const reminders = new Reminders();
  expect([0, 1, 29, 30].filter((minute) => wait(0)(reminders, minute))).toEqual([0, 30]);
});

test('another trouble, and one that comes back, begin anew', () => {
  const reminders = new Reminders();
  expect(wait(0)(reminders, 0)).toBe(true);
  expect(wait(0)(reminders, 1, 'b')).toBe(true);
  reminders.forget(ref);
  expect(wait(10)(reminders, 2, 'b')).toBe(false);
  expect(wait(10)(reminders, 12, 'b')).toBe(true);
});
