import { expect, test } from 'vitest';
import { aBinding, aServer } from '../fixtures.ts';
import { CLEAN, INSTALLED, standingOf } from './standing.ts';

test('a Server that is clean and off is done', () => {
  const standing = standingOf(aServer({ spec: { accepted: true }, status: { isClean: true, power: 'off' } }));
  expect(standing).toMatchObject({ isAccepted: true, isClean: true, isOff: true });
  expect(CLEAN.isReached(standing)).toBe(true);
  expect(CLEAN.isReached(standingOf(aServer({ status: { isClean: true, power: 'unknown' } })))).toBe(false);
});

test('a node counts when Talos says that it is installed, and its log has been heard', () => {
  const server = aServer({ spec: { accepted: true }, status: { isClean: false, wipe: { state: 'done' } } });
  const conditions = [{ type: 'TalosInstalled', status: 'True' as const, lastTransitionTime: '2026-11-29T12:00:00Z' }];
  const binding = aBinding({ status: { conditions } });
  expect(standingOf(server, { binding, isStreaming: true })).toMatchObject({ isWiped: true, isClean: false, isInstalled: true, isStreaming: true });
  expect(INSTALLED.isReached(standingOf(server, { binding, isStreaming: true }))).toBe(true);
  expect(INSTALLED.isReached(standingOf(server, { binding, isStreaming: false }))).toBe(false);
  expect(INSTALLED.isReached(standingOf(server, { binding: undefined, isStreaming: true }))).toBe(false);
});

test('the wipe that goes on counts the bytes of all disks that are not kept', () => {
  const disks = [
    { sizeBytes: 100, doneBytes: 100, method: 'insecure' },
    { sizeBytes: 200, method: 'insecure' },
    { sizeBytes: 400, method: 'keep' },
  ];
  const { wipe } = standingOf(aServer({ status: { wipe: { state: 'running', disks } } }));
  expect(wipe).toEqual({ subject: '3 disks', doneBytes: 100, totalBytes: 300 });
  expect(standingOf(aServer({ status: { wipe: { state: 'done', disks } } })).wipe).toBeUndefined();
});

test('what keeps a Server from going on is told: a failed wipe, a BMC; what goes on by itself is no trouble', () => {
  const failed = { wipe: { state: 'failed', message: 'sda is read-only' }, step: { name: 'NetworkBooting', reason: 'once more' } };
  expect(standingOf(aServer({ status: failed }))).toMatchObject({ trouble: 'sda is read-only', why: 'sda is read-only' });
  const silent = { step: { name: 'BmcTrouble', reason: 'no answer' } };
  expect(standingOf(aServer({ status: silent })).trouble).toBe('no answer');
  const booting = standingOf(aServer({ status: { step: { name: 'NetworkBooting', reason: 'it boots' } } }));
  expect(booting).toMatchObject({ why: 'it boots' });
  expect(booting.trouble).toBeUndefined();
});
