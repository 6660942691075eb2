import { expect, test } from 'vitest';
import { messageOf } from './message-of.ts';

test.each<[unknown, string]>([
  [new Error('refused'), 'refused'],
  ['refused', 'refused'],
  [undefined, 'undefined'],
  [new TypeError(), 'TypeError'],
  [new AggregateError([new Error('connect ECONNREFUSED ::1:1'), new Error('connect ECONNREFUSED 127.0.0.1:1')]), 'connect ECONNREFUSED ::1:1'],
  [new AggregateError([new Error('one')], 'both failed'), 'both failed'],
  [new AggregateError([]), 'AggregateError'],
])('%o is told as "%s"', (thrown, text) => expect(messageOf(thrown)).toBe(text));
