import type { Server } from '@sidero/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countBy } from './group-domains.ts';
import { order, pack, type Rule, spread, sticky } from './scores.ts';

const RACK = 'example.com/rack';
let count = 0;
const inRack = (rack?: string) => ({ metadata: { name: `s-${++count}`, labels: rack === undefined ? {} : { [RACK]: rack } } }) as unknown as Server;
const peers = (...racks: (string | undefined)[]) => ({ counts: countBy(RACK, racks.map(inRack)), size: racks.length });
const shares = (rule: Rule, ...racks: (string | undefined)[]) => rule(racks.map((rack) => inRack(rack))).map(({ share }) => share);

test.each<[string, Rule, (string | undefined)[], number[]]>([
  ['spread: the rack with the fewest peers is best', spread(RACK, peers('a', 'a', 'b')), ['a', 'b', 'c'], [0, 0.5, 1]],
  ['spread: racks with as many are equal', spread(RACK, peers('a', 'b')), ['a', 'b'], [1, 1]],
  ['spread: without peers all racks are equal', spread(RACK, peers()), ['a', 'b', 'a'], [1, 1, 1]],
  ['spread: a server in no rack is worst', spread(RACK, peers('a')), ['a', undefined, 'b'], [0, 0, 1]],
  ['spread: only servers in no rack', spread(RACK, peers('a')), [undefined, undefined], [0, 0]],
  ['pack: the rack with most in use is best', pack(RACK, ['a', 'a', 'b'].map(inRack)), ['a', 'b', 'c', undefined], [1, 0.5, 0, 0]],
  ['pack: nothing is in use', pack(RACK, []), ['a', 'b'], [0, 0]],
  ['order: numbers as numbers', order(RACK), ['10', '9', '2', undefined], [1 / 3, 2 / 3, 1, 0]],
  ['order: texts by their letters', order(RACK), ['b', 'a'], [0.5, 1]],
  ['order: nobody has the label', order(RACK), [undefined, undefined], [0, 0]],
])('%s', (...[, rule, racks, expected]) => {
  const given = shares(rule, ...racks);
  expected.forEach((share, index) => expect(given[index]).toBeCloseTo(share));
});

test('sticky: what is known is best', () => {
  const [a, b] = [inRack(), inRack()];
  expect(sticky((server) => server === b)([a, b]).map(({ share }) => share)).toEqual([0, 1]);
});

const racks = fc.array(fc.option(fc.constantFrom('a', 'b', '1', '10'), { nil: undefined }), { maxLength: 6 });

test('any rule gives every server a share from 0 to 1', () => {
  fc.assert(
    fc.property(racks, racks, (candidates, others) => {
      const servers = candidates.map(inRack);
      const used = others.map(inRack);
      for (const rule of [spread(RACK, peers(...others)), pack(RACK, used), order(RACK), sticky(() => true)]) {
        const given = rule(servers);
        expect(given.length).toBe(servers.length);
        expect(given.filter(({ share }) => !(share >= 0 && share <= 1))).toEqual([]);
      }
    }),
  );
});
