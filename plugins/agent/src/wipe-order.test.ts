import { expect, test } from 'vitest';
import { abilitiesOf, wipeOrderOf } from './wipe-order.ts';

const originals = abilitiesOf({ agentVersion: '', capabilities: [] });

test('the agent of the original can wipe every disk, insecurely or with zeros', () => {
  expect(wipeOrderOf({ method: 'insecure', disks: [] }, originals)).toEqual({ wipe: true, insecure: true });
  expect(wipeOrderOf({ method: 'zero', disks: [] }, originals)).toEqual({ wipe: true, insecure: false });
});

test('an agent of ours wipes only when it says that it can', () => {
  expect(wipeOrderOf({ method: 'insecure', disks: [] }, abilitiesOf({ agentVersion: '1', capabilities: [] }))).toMatchObject({
    wipe: false,
    unable: true,
  });
  expect(wipeOrderOf({ method: 'insecure', disks: [] }, abilitiesOf({ agentVersion: '1', capabilities: ['wipe'] }))).toMatchObject({ wipe: true });
});

test('a plan that does not fit on the wire orders nothing, and says why', () => {
  const keep = { serial: 'S1', method: 'keep', reason: 'holds the images' } as const;
  expect(wipeOrderOf({ method: 'insecure', disks: [keep] }, originals)).toMatchObject({
    wipe: false,
    unable: true,
    hold: expect.stringContaining('single disks'),
  });
  expect(wipeOrderOf({ method: 'nvme-sanitize', disks: [] }, originals)).toMatchObject({
    wipe: false,
    hold: expect.stringContaining('nvme-sanitize'),
  });
});

const ours = abilitiesOf({ agentVersion: '1', capabilities: ['wipe', 'wipe-plan', 'wipe:insecure', 'wipe:zero'] });

test('an agent that works disk by disk gets the whole plan', () => {
  const rule = { serial: 'S1', method: 'keep', reason: 'holds the images' } as const;
  expect(wipeOrderOf({ method: 'insecure', disks: [rule] }, ours)).toEqual({
    wipe: true,
    insecure: true,
    wipePlan: { method: 'insecure', rules: [{ ...rule, wwn: '' }] },
  });
});

test('an agent that lacks a method of the plan is ordered nothing, never a weaker method', () => {
  const rule = { wwn: 'naa.5', method: 'nvme-sanitize', reason: '' } as const;
  expect(wipeOrderOf({ method: 'zero', disks: [rule] }, ours)).toMatchObject({
    wipe: false,
    unable: true,
    hold: expect.stringContaining('nvme-sanitize'),
  });
});

test('a hold is passed on as it is', () => {
  expect(wipeOrderOf({ hold: 'it is allocated' }, originals)).toEqual({ wipe: false, hold: 'it is allocated', unable: false });
});
