import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { type Answer, createAnswerNews } from './answer-news.ts';
import { createHttp } from './http.ts';

const PINO_LEVELS: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info', 50: 'error' };

/** Asks for paths, one after the other; gives what the log says, `level path status`. */
async function logOf(...paths: readonly string[]): Promise<readonly string[]> {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      const { level, path, status, msg } = JSON.parse(String(chunk)) as { level: number; path: string; status?: number; msg: string };
      lines.push(`${PINO_LEVELS[level]} ${path} ${status ?? msg}`);
      done();
    },
  });
  let asked = 0;
  const answers = {
    '/waits': (context: { body: unknown }) => void (context.body = 'wait'),
    '/fails': () => Promise.reject(new Error('broken')),
    '/odd': (context: { body: unknown; status: number }) => {
      context.body = 'wait';
      context.status = (asked += 1) === 2 ? 503 : 200;
    },
  };
  const routes = Object.entries(answers).map(([path, handler]) => ({ plugin: 'test', route: { method: 'GET', path, handler } as const }));
  const server = createHttp({ routes, log: createLogger({ level: 'debug', destination }), metrics: createMetrics() }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  for (const path of paths) await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`)).text();
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  return lines;
}

test('who asks again and again and gets the same answer is told of once; every change is told of', async () => {
  expect(await logOf('/waits?uuid=1', '/waits?uuid=1', '/waits?uuid=1', '/nope', '/waits?uuid=1')).toEqual([
    'info /waits 200',
    'debug /waits 200',
    'debug /waits 200',
    'info /nope 404',
    'info /waits 200',
  ]);
  expect(await logOf('/odd', '/odd', '/odd', '/odd')).toEqual(['info /odd 200', 'info /odd 503', 'info /odd 200', 'debug /odd 200']);
});

test('a failure of ours is told of each time', async () => {
  const failed = 'error /fails HTTP request failed';
  expect(await logOf('/fails', '/fails')).toEqual([failed, 'info /fails 500', failed, 'debug /fails 500']);
});

test('who was quiet for ten minutes, or is one of too many to be remembered, is told of again', () => {
  let nowMs = 0;
  const isNews = createAnswerNews(() => nowMs);
  const answer = (address: string): Answer => ({ method: 'GET', path: '/ipxe', status: 200, address });
  expect(isNews(answer('10.0.0.1'))).toBe(true);
  for (nowMs = 10_000; nowMs < 3_600_000; nowMs += 10_000) expect(isNews(answer('10.0.0.1'))).toBe(false);
  nowMs += 600_000;
  expect([isNews(answer('10.0.0.1')), isNews(answer('10.0.0.2')), isNews(answer('10.0.0.1'))]).toEqual([true, true, false]);
  for (let other = 0; other < 4095; other += 1) isNews(answer(`10.1.${other >> 8}.${other & 255}`));
  expect([isNews(answer('10.0.0.1')), isNews(answer('10.0.0.2'))]).toEqual([false, true]);
});
