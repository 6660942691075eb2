import { expect, test, vi } from 'vitest';
import { createHooks, type ServerDraft, type WipePlan } from './hooks.ts';
import { createLogger } from './log.ts';
import { createMetrics } from './metrics.ts';
import type { Server } from './resources/kinds.ts';
import { guardTaps } from './taps.ts';

const server = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: '4c4c' }, spec: { accepted: true } } as Server;
const plan: WipePlan = { method: 'insecure', disks: [] };

function guarded(timeoutMs = 1000) {
  const hooks = createHooks();
  const metrics = createMetrics();
  const guard = guardTaps(hooks, { timeoutMs, strict: true, log: createLogger({ level: 'silent' }), metrics });
  return { hooks, metrics, guard };
}

test('a tap is blamed by the plugin that was set up when it was added, whatever it calls itself', () => {
  const { hooks, guard } = guarded();
  guard.owned('purchase-list', () => hooks.accept.tap('another name', () => undefined));
  expect(guard.taps).toEqual([{ hook: 'accept', plugin: 'purchase-list', optional: false }]);
});

test('a throwing tap of wipe fails with plugin, hook and server in the error', async () => {
  const { hooks, guard } = guarded();
  guard.owned('keeper', () =>
    hooks.wipe.tapPromise('keeper', async () => {
      throw new Error('no list');
    }),
  );
  await expect(hooks.wipe.promise(plan, server)).rejects.toThrow('Plugin "keeper" failed in hook "wipe" for server 4c4c: no list.');
});

test('a tap that never settles is cut off and named', async () => {
  const { hooks, guard } = guarded(20);
  guard.owned('sleeper', () => hooks.wipe.tapPromise('sleeper', () => new Promise(() => undefined)));
  await expect(hooks.wipe.promise(plan, server)).rejects.toMatchObject({
    code: 'SIDERO_HOOK_TIMEOUT',
    details: { plugin: 'sleeper', server: '4c4c' },
  });
});

test('a tap in callback style has the same deadline and blame', async () => {
  const { hooks } = guarded(20);
  hooks.wipe.tapAsync('silent', () => undefined);
  await expect(hooks.wipe.promise(plan, server)).rejects.toMatchObject({ code: 'SIDERO_HOOK_TIMEOUT', details: { plugin: 'silent' } });
});

test('a throwing tap of accept is left out, and the next one is asked', async () => {
  const { hooks, metrics } = guarded();
  hooks.accept.tap('broken', () => {
    throw new Error('broken');
  });
  hooks.accept.tap('willing', () => ({ accepted: true, reason: 'yes' }));
  expect(await hooks.accept.promise(server)).toEqual({ accepted: true, reason: 'yes' });
  expect(await metrics.text()).toContain('sidero_hook_failures_total{hook="accept",plugin="broken"} 1');
});

test('a throwing tap of discover leaves the draft to the others', async () => {
  const { hooks } = guarded();
  const draft: ServerDraft = { labels: {}, annotations: {}, spec: { accepted: false } };
  hooks.discover.tapPromise('broken', () => Promise.reject(new Error('broken')));
  hooks.discover.tap('labeller', (value) => ({ ...value, labels: { rack: '7' } }));
  expect(await hooks.discover.promise(draft, { uuid: '4c4c' } as never)).toMatchObject({ labels: { rack: '7' } });
});

test('a throwing tap of stream does not keep the fact from the others', () => {
  const { hooks } = guarded();
  const told = vi.fn<() => void>();
  hooks.stream.tap('broken', () => {
    throw new Error('broken');
  });
  hooks.stream.tap('listener', told);
  hooks.stream.call({ type: 'accepted', uuid: '4c4c', detail: '', at: new Date() });
  expect(told).toHaveBeenCalledOnce();
});

test('a tap of stream that takes its time, or never answers, holds up nobody', async () => {
  const { hooks, metrics } = guarded(20);
  const slow: string[] = [];
  const quick: string[] = [];
  // A promise is waited for, although the hook's type does not say so: a tap may be an async function.
  hooks.stream.tap('slow', (event) => {
    slow.push((event as { detail: string }).detail);
    return new Promise<never>(() => undefined) as never;
  });
  hooks.stream.tap('quick', (event) => void quick.push((event as { detail: string }).detail));
  for (const detail of ['1', '2']) hooks.stream.call({ type: 'accepted', uuid: '4c4c', detail, at: new Date() });
  expect(quick).toEqual(['1', '2']);
  expect(slow).toEqual(['1']);
  await expect.poll(() => slow).toEqual(['1', '2']);
  await expect.poll(() => metrics.text()).toContain('sidero_hook_failures_total{hook="stream",plugin="slow"} 2');
});

test('an optional tap of boot that fails is left out', async () => {
  const { hooks } = guarded();
  hooks.boot.tapPromise({ name: 'banner', optional: true } as never, () => Promise.reject(new Error('broken')));
  const wanted = { target: 'disk', method: 'ipxe-exit', reason: 'installed' } as const;
  expect(await hooks.boot.promise(wanted, { uuid: '4c4c' } as never)).toEqual(wanted);
});

test('a hold is answered also when later taps are promises: a wipe stage that hangs would hold up its server for ever', async () => {
  const { hooks } = guarded();
  hooks.wipe.tapPromise('caps', async () => ({ hold: 'a MetalMachine has it' }));
  hooks.wipe.tapPromise('keep-disks', async () => plan);
  expect(await hooks.wipe.promise(plan, server)).toEqual({ hold: 'a MetalMachine has it' });
});

test('a promise tap that throws before it gives a promise is left out like any other', async () => {
  const { hooks } = guarded();
  hooks.accept.tapPromise('broken', () => {
    throw new Error('broken');
  });
  hooks.accept.tapPromise('willing', async () => ({ accepted: true, reason: 'yes' }));
  expect(await hooks.accept.promise(server)).toEqual({ accepted: true, reason: 'yes' });
});

test('once held, a wipe stays held whatever later taps answer', async () => {
  const { hooks } = guarded();
  hooks.wipe.tap('caps', () => ({ hold: 'a MetalMachine names it' }));
  hooks.wipe.tap('eager', () => plan);
  expect(await hooks.wipe.promise(plan, server)).toEqual({ hold: 'a MetalMachine names it' });
});

test('what taps are given cannot be changed in place in strict mode', async () => {
  const { hooks } = guarded();
  hooks.wipe.tap('meddler', (_, given) => {
    given.spec!.accepted = false;
    return undefined as never;
  });
  await expect(hooks.wipe.promise(plan, structuredClone(server))).rejects.toThrow(/read only/);
});
