import { expect, test } from 'vitest';
import { ConfigNews } from './config-news.ts';

const server = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: 'u' } };

function told() {
  const messages: string[] = [];
  let clock = 0;
  const news = new ConfigNews(
    async (_about, { message }) => void messages.push(message),
    () => clock,
  );
  const tell = (message: string, uuid = 'u') => news.tell(uuid, message, async () => [server]);
  return { messages, news, tell, pass: (ms: number) => (clock += ms) };
}

test('a cause is told once, and again after half an hour', async () => {
  const { messages, tell, pass } = told();
  for (const message of ['a', 'a', 'b', 'a']) await tell(message);
  expect(messages).toEqual(['a', 'b']);
  pass(30 * 60_000);
  expect(await tell('a')).toBe(true);
  expect(messages).toEqual(['a', 'b', 'a']);
});

test('what comes back after the machine had its configuration is news; another machine is another matter', async () => {
  const { messages, news, tell } = told();
  await tell('a');
  expect(await tell('a', 'v')).toBe(true);
  news.forget('u');
  await tell('a');
  expect(messages).toEqual(['a', 'a', 'a']);
  expect(await tell('a', 'v')).toBe(false);
});

test('machines without end do not fill the memory: the oldest are forgotten', async () => {
  const { tell } = told();
  await tell('a', 'first');
  for (let index = 0; index < 2000; index++) await tell('a', `m-${index}`);
  expect(await tell('a', 'm-1999')).toBe(false);
  expect(await tell('a', 'first')).toBe(true);
});
