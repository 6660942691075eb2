import { expect, test } from 'vitest';
import { holds, type ObservedStatus, observe } from './observations.ts';

const at = (minute: number) => new Date(Date.UTC(2026, 10, 23, 12, minute));

test('an observation stands in both forms; in the newer one its time moves with the status only', () => {
  const status: ObservedStatus = { conditions: [{ type: 'TalosInstalled', status: 'True', lastTransitionTime: at(0).toISOString() }] };
  observe(status, [{ type: 'Ready', status: 'False', reason: 'NoServerFits', severity: 'Warning', message: 'none' }], {
    now: at(1),
    isPaused: false,
  });
  observe(status, [{ type: 'Ready', status: 'False', reason: 'NoServerFits', severity: 'Warning', message: 'still none' }], {
    now: at(2),
    isPaused: true,
  });
  expect(status.conditions).toMatchObject([
    { type: 'Ready', lastTransitionTime: '2026-11-23T12:02:00Z', severity: 'Warning' },
    { type: 'TalosInstalled' },
  ]);
  expect(status.v1beta2?.conditions).toEqual([
    { type: 'Ready', status: 'False', reason: 'NoServerFits', message: 'still none', lastTransitionTime: '2026-11-23T12:01:00Z' },
    { type: 'TalosInstalled', status: 'True', reason: 'Succeeded', message: '', lastTransitionTime: '2026-11-23T12:00:00.000Z' },
    { type: 'Paused', status: 'True', reason: 'Paused', message: '', lastTransitionTime: '2026-11-23T12:02:00Z' },
  ]);
});

test('what did not change writes nothing new', () => {
  const status: ObservedStatus = {};
  observe(status, [holds('Ready')], { now: at(0), isPaused: false });
  const before = structuredClone(status);
  observe(status, [holds('Ready')], { now: at(5), isPaused: false });
  expect(status).toEqual(before);
});
