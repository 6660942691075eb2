import { describe, expect, test } from 'vitest';
import type { HookName } from '../hooks.ts';
import { checkedTap, type Tap } from './tap-answer.ts';

const server = { metadata: { name: '4c4c' } };
const identity = { labels: {}, documents: [], patches: [] };
const selection = (score: unknown) => ({ claim: {}, candidates: [{ server, score, notes: [] }], rejected: [], pending: [] });

const asked = async (hook: HookName, fn: Tap['fn'], type: Tap['type'] = 'promise') => checkedTap(hook, { name: 'racks', type, fn })();

describe('what a tap answers', () => {
  test.each<[HookName, unknown]>([
    ['discover', { labels: { rack: 'a1' }, annotations: {}, spec: { accepted: false } }],
    ['accept', { accepted: false, reason: 'it is not ours' }],
    ['wipe', { hold: 'it is being looked at' }],
    ['wipe', { method: 'zero', disks: [] }],
    ['allocate', selection(10)],
    ['bind', identity],
    ['boot', { target: 'agent', environment: 'agent-amd64', args: [], reason: 'it is dirty' }],
    ['boot', { target: 'disk', method: 'ipxe-exit', reason: 'it is installed' }],
    ['boot', { target: 'wait', status: 503, reason: 'not yet' }],
    ['accept', undefined],
  ])('%s takes %j', async (hook, answer) => {
    expect(await asked(hook, () => answer)).toBe(answer);
    expect(await asked(hook, () => answer, 'sync')).toBe(answer);
  });

  test.each<[HookName, unknown, string]>([
    ['discover', 'rack-a1', 'it returned a string that it cannot be; return { ...draft,'],
    ['discover', { labels: {} }, '"annotations" in what it returned is undefined; return'],
    ['accept', true, 'it returned a boolean that it cannot be; return { accepted: true, reason: "…" }, or undefined'],
    ['accept', { accepted: true }, '"reason" in what it returned is undefined'],
    ['accept', null, 'it returned null'],
    ['wipe', {}, '"method" in what it returned is undefined'],
    ['allocate', selection(Number.NaN).candidates, 'it returned a list'],
    ['allocate', selection(Number.NaN), '"candidates" in what it returned is a list with a score that is no number'],
    ['bind', { ...identity, labels: 'rack=a1' }, '"labels" in what it returned is a string that it cannot be'],
    ['boot', { target: 'disc', method: 'ipxe-exit' }, '"target" in what it returned is a string that it cannot be'],
  ])('%s refuses %j, and tells what to write', async (hook, answer, says) => {
    await expect(asked(hook, () => answer)).rejects.toThrow(says);
    await expect(asked(hook, () => answer, 'sync')).rejects.toThrow(says);
  });

  test('no value of it is told: it may be a secret', async () => {
    await expect(asked('bind', () => ({ ...identity, patches: 'token-Zk7' }))).rejects.toThrow(/^(?!.*Zk7)/);
  });

  test('an async function that is tapped as if it were none is told so', async () => {
    await expect(asked('discover', async () => undefined, 'sync')).rejects.toThrow(
      'tap an async function with hooks.discover.tapPromise(…) instead of tap(…)',
    );
  });

  test('stream may be tapped by either, and gives no answer', async () => {
    expect(await asked('stream', async () => 'anything', 'sync')).toBe('anything');
  });
});
