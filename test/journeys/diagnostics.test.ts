import { definePlugin } from '@sidero/core';
import { testSidero } from '@sidero/testing';
import { Agent, fetch } from 'undici';
import { expect, test } from 'vitest';
import * as z from 'zod';

// The certificate of this listener is made anew at each start, for nobody to verify.
const unverified = new Agent({ connect: { rejectUnauthorized: false } });

test('metrics are for whom the Kubernetes API lets read them', async () => {
  await using sidero = await testSidero({ site: { diagnosticsAddress: '127.0.0.1:0' } });
  const get = (token?: string) =>
    fetch(`https://127.0.0.1:${sidero.running.diagnosticsPort}/metrics`, {
      dispatcher: unverified,
      headers: token ? { authorization: `Bearer ${token}` } : {},
    });
  expect((await get()).status).toBe(401);
  expect((await get('guessed')).status).toBe(401);
  const answer = await get(sidero.kubeConfig.getCurrentUser()!.token);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('sidero_connections');
});

test('metrics can be opened to anyone by plain HTTP', async () => {
  await using sidero = await testSidero({ site: { diagnosticsAddress: '127.0.0.1:0', insecureDiagnostics: true } });
  const answer = await fetch(`http://127.0.0.1:${sidero.running.diagnosticsPort}/metrics`);
  expect([answer.status, (await fetch(`http://127.0.0.1:${sidero.running.diagnosticsPort}/else`)).status]).toEqual([200, 404]);
});

test('a route of a plugin beside them is for whom the Kubernetes API lets read its path', async () => {
  const setup = definePlugin({
    name: 'racks',
    options: z.strictObject({}),
    setup: ({ management }) => management.route('/racks/:name', (context) => void (context.body = `rack ${context.path}\n`)),
  });
  await using sidero = await testSidero({ site: { diagnosticsAddress: '127.0.0.1:0' }, plugins: [setup()] });
  const get = (path: string, token?: string) =>
    fetch(`https://127.0.0.1:${sidero.running.diagnosticsPort}${path}`, {
      dispatcher: unverified,
      headers: token ? { authorization: `Bearer ${token}` } : {},
    });
  const token = sidero.kubeConfig.getCurrentUser()!.token;
  expect((await get('/racks/1')).status).toBe(401);
  expect((await get('/racks/1', 'guessed')).status).toBe(401);
  expect(await (await get('/racks/1', token)).text()).toBe('rack /racks/1\n');
  expect((await get('/shelves/1', token)).status).toBe(404);
});

test('health says which part is not ready, and why', async () => {
  await using sidero = await testSidero({ site: { healthAddress: '127.0.0.1:0' } });
  const url = `http://127.0.0.1:${sidero.running.healthPort}`;
  expect(await (await fetch(`${url}/healthz`)).text()).toBe('ok');
  expect(await (await fetch(`${url}/readyz?verbose`)).text()).toMatch(/\[\+\]tftp ok\n[^]*readyz check passed\n$/);
  expect((await fetch(`${url}/readyz/tftp`)).status).toBe(200);
  expect((await fetch(`${url}/readyz/nothing`)).status).toBe(404);
});
