import { expect, test } from 'vitest';
import { linkNews, type LinkState, linkStateOf, linkText } from './link-state.ts';

const now = new Date('2026-11-29T23:00:00Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000);
const state = (word: LinkState['word'], seconds: number): LinkState => ({ word, since: ago(seconds) });

type Row = [
  what: string,
  secondsInPlace: number,
  secondsSinceHandshake: number | undefined,
  before: LinkState | undefined,
  news: LinkState | undefined,
];

test.each<Row>([
  ['a machine that is heard for the first time is up', 10, 5, undefined, state('up', 5)],
  ['a machine that is up and heard is no news', 9000, 100, state('up', 8000), undefined],
  ['a machine that was not heard for longer than Talos waits is silent', 9000, 276, state('up', 8000), state('silent', 276)],
  ['a machine that stays silent is no news', 9000, 4000, state('silent', 4000), undefined],
  ['a silent machine that is heard is up', 9000, 3, state('silent', 4000), state('up', 3)],
  ['a machine that joined may take a minute', 59, undefined, undefined, undefined],
  ['a machine that joined and does not speak is unheard', 61, undefined, undefined, state('unheard', 61)],
  ['a machine that stays unheard is no news', 900, undefined, state('unheard', 900), undefined],
  ['an unheard machine that is heard is up', 900, 1, state('unheard', 900), state('up', 1)],
  ['after a restart a machine has until its own timers to come back', 200, undefined, state('up', 8000), undefined],
  ['a machine that does not come back after a restart is silent', 300, undefined, state('up', 8000), state('silent', 300)],
  ['a machine that was silent before a restart still is', 300, undefined, state('silent', 8000), undefined],
])('%s', (...[, placed, handshake, before, news]) => {
  const handshakeAt = handshake === undefined ? undefined : ago(handshake);
  expect(linkNews({ handshakeAt, placedAt: ago(placed), before, now })).toEqual(news);
});

test('an annotation is read as it was written, and anything else is none', () => {
  expect(linkStateOf(linkText(state('silent', 5)))).toEqual(state('silent', 5));
  for (const text of [undefined, '', 'up', 'up soon', 'gone 2026-11-29T23:00:00Z']) expect(linkStateOf(text)).toBeUndefined();
});
