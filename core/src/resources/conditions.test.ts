import { describe, expect, test } from 'vitest';
import { conditionOf, isTrue, markFalse, markTrue, removeCondition, sortConditions } from './conditions.ts';
import type { Condition } from './types.gen.ts';

const monday = new Date('2026-11-23T10:00:00.987Z');
const tuesday = new Date('2026-11-24T10:00:00.123Z');
const wiping = { type: 'PowerCycle', reason: 'InProgress', severity: 'Info', message: 'Server wipe in progress.' } as const;

describe('marking', () => {
  test('a true condition has no reason, severity or message, and whole seconds', () => {
    const conditions = markTrue(markFalse(undefined, wiping, monday), 'PowerCycle', tuesday);
    expect(conditions).toEqual([{ type: 'PowerCycle', status: 'True', lastTransitionTime: '2026-11-24T10:00:00Z' }]);
  });

  test('a false condition says why', () => {
    expect(markFalse([], wiping, monday)).toEqual([{ ...wiping, status: 'False', lastTransitionTime: '2026-11-23T10:00:00Z' }]);
  });

  test('the transition time stays while nothing changes', () => {
    const before = markFalse([], wiping, monday);
    expect(markFalse(before, { ...wiping }, tuesday)).toEqual(before);
    expect(markTrue(markTrue([], 'PXEBooted', monday), 'PXEBooted', tuesday)).toEqual(markTrue([], 'PXEBooted', monday));
  });

  test.each([
    ['status', { status: 'Unknown' }],
    ['reason', { reason: 'Other' }],
    ['severity', { severity: 'Error' }],
    ['message', { message: 'Something else.' }],
  ])('a change of %s alone moves the transition time', (_, difference) => {
    const before = markFalse([], wiping, monday).map((condition) => ({ ...condition, ...difference }));
    expect(conditionOf(markFalse(before, wiping, tuesday), 'PowerCycle')?.lastTransitionTime).toBe('2026-11-24T10:00:00Z');
  });

  test('an empty text counts as absent', () => {
    const condition: Condition = { type: 'PXEBooted', status: 'True', reason: '', message: '', lastTransitionTime: '2026-11-23T10:00:00Z' };
    expect(markTrue([condition], 'PXEBooted', tuesday)).toEqual([{ type: 'PXEBooted', status: 'True', lastTransitionTime: '2026-11-23T10:00:00Z' }]);
    expect(markFalse([], { ...wiping, message: '' }, monday)[0]).not.toHaveProperty('message');
  });

  test('a message longer than the schema allows is cut', () => {
    expect(markFalse([], { ...wiping, message: 'x'.repeat(20_000) }, monday)[0]?.message).toHaveLength(10_240);
  });

  test('the list that was given stays as it is', () => {
    const before = Object.freeze(markTrue([], 'PXEBooted', monday));
    markFalse(before, wiping, tuesday);
    removeCondition(before, 'PXEBooted');
    expect(before).toHaveLength(1);
  });
});

describe('the list', () => {
  test('has Ready first and the others by type', () => {
    const conditions = ['b', 'Ready', 'a', 'Z'].reduce<Condition[]>((list, type) => markTrue(list, type, monday), []);
    expect(conditions.map(({ type }) => type)).toEqual(['Ready', 'Z', 'a', 'b']);
    expect(sortConditions(conditions.toReversed())).toEqual(conditions);
  });

  test('holds one condition of a type, even when it came with two', () => {
    const twice = [...markTrue([], 'PXEBooted', monday), ...markTrue([], 'PXEBooted', tuesday)];
    expect(markTrue(twice, 'PXEBooted', tuesday)).toHaveLength(1);
  });

  test('is asked and shortened by type, also when there is none yet', () => {
    const conditions = markTrue(markFalse([], wiping, monday), 'PXEBooted', monday);
    expect([isTrue(conditions, 'PXEBooted'), isTrue(conditions, 'PowerCycle'), isTrue(undefined, 'PXEBooted')]).toEqual([true, false, false]);
    expect(removeCondition(conditions, 'PXEBooted').map(({ type }) => type)).toEqual(['PowerCycle']);
    expect(removeCondition(undefined, 'PXEBooted')).toEqual([]);
  });
});
