import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasCode } from '../errors.ts';
import { matchServerClass } from './match-server-class.ts';
import type { HardwareInformation, LabelSelector, Server, ServerClass, ServerClassSpec } from './types.gen.ts';

function aClass(spec: ServerClassSpec): ServerClass {
  return { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'ServerClass', metadata: { name: 'big' }, spec };
}

function aServer(given: { labels?: Record<string, string>; hardware?: HardwareInformation; accepted?: boolean; cordoned?: boolean }): Server {
  const { labels, accepted = true, ...spec } = given;
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name: 'a', ...(labels ? { labels } : {}) },
    spec: { accepted, ...spec },
  };
}

const matches = (spec: ServerClassSpec, server: Server) => matchServerClass(aClass(spec))(server);
const wants = (entry: unknown) => ({ qualifiers: { hardware: [entry as HardwareInformation] } });
const has = (hardware: unknown) => aServer({ hardware: hardware as HardwareInformation });

const gold = {
  compute: { processorCount: 2, processors: [{ productName: 'Gold', coreCount: 16 }, { productName: 'Gold' }] },
  memory: { totalSize: '64 GB' },
};

describe('a class without demands', () => {
  test('holds every server that is accepted and not cordoned', () => {
    expect(matches({}, aServer({}))).toBe(true);
    expect(matches({}, aServer({ accepted: false }))).toBe(false);
    expect(matches({}, aServer({ cordoned: true }))).toBe(false);
    expect(matches({}, { ...aServer({}), spec: undefined } as unknown as Server)).toBe(false);
  });

  test.each([
    ['no spec at all', undefined],
    ['null members', { selector: null, qualifiers: null }],
    ['null lists', { qualifiers: { hardware: null, labelSelectors: null }, selector: { matchLabels: null, matchExpressions: null } }],
    ['empty lists', { qualifiers: { hardware: [], labelSelectors: [] }, selector: { matchLabels: {}, matchExpressions: [] } }],
  ])('is one with %s', (_, spec) => {
    expect(matchServerClass({ ...aClass({}), spec } as unknown as ServerClass)(aServer({}))).toBe(true);
  });
});

describe('selector', () => {
  const labels = { rack: 'a1', gpu: '' };
  test.each<[LabelSelector, boolean]>([
    [{ matchLabels: { rack: 'a1' } }, true],
    [{ matchLabels: { rack: 'A1' } }, false],
    [{ matchLabels: { rack: 'a1', zone: 'b' } }, false],
    [{ matchLabels: { gpu: '' } }, true],
    [{ matchLabels: { zone: '' } }, false],
    [{ matchExpressions: [{ key: 'rack', operator: 'In', values: ['b', 'a1'] }] }, true],
    [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['b'] }] }, false],
    [{ matchExpressions: [{ key: 'rack', operator: 'NotIn', values: ['a1'] }] }, false],
    [{ matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['b'] }] }, true],
    [{ matchExpressions: [{ key: 'gpu', operator: 'Exists' }] }, true],
    [{ matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, false],
    [{ matchExpressions: [{ key: 'zone', operator: 'DoesNotExist', values: [] }] }, true],
    [{ matchLabels: { rack: 'a1' }, matchExpressions: [{ key: 'gpu', operator: 'DoesNotExist' }] }, false],
  ])('%j is %j', (selector, expected) => {
    expect(matches({ selector }, aServer({ labels }))).toBe(expected);
  });

  test.each<[LabelSelector, RegExp]>([
    [{ matchExpressions: [{ key: 'rack', operator: 'Bogus' }] }, /"Bogus" is none of In, NotIn, Exists, DoesNotExist/],
    [{ matchExpressions: [{ key: 'rack', operator: 'In' }] }, /In needs at least one value/],
    [{ matchExpressions: [{ key: 'rack', operator: 'NotIn', values: [] }] }, /NotIn needs at least one value/],
    [{ matchExpressions: [{ key: 'rack', operator: 'Exists', values: ['a'] }] }, /Exists takes no values/],
    [{ matchExpressions: [{ key: 'a b', operator: 'Exists' }] }, /"a b" is no label key/],
    [{ matchLabels: { rack: 'not valid' } }, /"not valid" is no label value/],
    [{ matchLabels: { 'Example.com/rack': 'a' } }, /is no label key/],
  ])('%j is refused with the name of the class', (selector, problem) => {
    expect(() => matchServerClass(aClass({ selector }))).toThrow(
      expect.objectContaining({
        code: 'SIDERO_SERVER_CLASS_INVALID',
        message: expect.stringMatching(problem),
        details: expect.objectContaining({ name: 'big' }),
      }),
    );
  });

  test('a key may have a domain in front', () => {
    expect(matches({ selector: { matchLabels: { 'metal.sidero.dev/rack': 'a' } } }, aServer({ labels: { 'metal.sidero.dev/rack': 'a' } }))).toBe(
      true,
    );
  });

  test('any selector matches, does not match, or is refused', () => {
    const text = fc.oneof(fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist', 'a'), fc.string());
    const term = fc.record({ key: text, operator: text, values: fc.array(fc.string()) }, { requiredKeys: ['key', 'operator'] });
    const selectors = fc.record({ matchLabels: fc.dictionary(fc.string(), fc.string()), matchExpressions: fc.array(term) }, { requiredKeys: [] });
    fc.assert(
      fc.property(selectors, fc.dictionary(fc.string(), fc.string()), (selector, labels) => {
        try {
          expect(matches({ selector }, aServer({ labels }))).toBeTypeOf('boolean');
        } catch (thrown) {
          if (!hasCode(thrown, 'SIDERO_SERVER_CLASS_INVALID')) throw thrown;
        }
      }),
    );
  });
});

describe('hardware', () => {
  test.each<[string, unknown, unknown, boolean]>([
    ['equal texts', { memory: { totalSize: '64 GB' } }, gold, true],
    ['texts that differ in case', { memory: { totalSize: '64 gb' } }, gold, false],
    ['a part of a text', { memory: { totalSize: '64' } }, gold, false],
    ['equal numbers', { compute: { processorCount: 2 } }, gold, true],
    ['other numbers', { compute: { processorCount: 1 } }, gold, false],
    ['all members of one entry', { compute: { processorCount: 2 }, memory: { totalSize: '8 GB' } }, gold, false],
    ['zero, which demands nothing', { compute: { processorCount: 0 }, memory: { totalSize: '' } }, gold, true],
    ['false, which demands nothing', { bmc: { present: false } }, { bmc: { present: true } }, true],
    ['true', { bmc: { present: true } }, { bmc: {} }, false],
    ['an object that is not there', { memory: { totalSize: '8 GB' } }, {}, false],
    ['an object that demands nothing and is not there', { memory: { totalSize: '', modules: null } }, {}, true],
    ['the first of several processors', { compute: { processors: [{ coreCount: 16 }] } }, gold, true],
    ['the second of several processors in the first place', { compute: { processors: [{}, { coreCount: 16 }] } }, gold, false],
    ['the second processor by its place', { compute: { processors: [{}, { productName: 'Gold' }] } }, gold, true],
    ['more processors than there are', { compute: { processors: [{}, {}, {}] } }, gold, false],
    ['an empty list against none', { compute: { processors: [] } }, { compute: {} }, true],
    ['an empty list in an object that is not there', { compute: { processors: [] } }, {}, false],
    ['an empty entry against empty hardware', {}, {}, true],
  ])('compares %s', (...[, entry, actual, expected]) => {
    expect(matches(wants(entry), has(actual))).toBe(expected);
  });

  test('of a server that told none matches no entry, not even an empty one', () => {
    expect(matches(wants({}), aServer({}))).toBe(false);
    expect(matches(wants({}), has(null))).toBe(false);
  });

  test('one entry of several is enough', () => {
    const entries = [{ memory: { totalSize: '8 GB' } }, { memory: { totalSize: '64 GB' } }];
    expect(matches({ qualifiers: { hardware: entries } }, has(gold))).toBe(true);
  });
});

describe('label qualifiers', () => {
  test.each<[string, Record<string, string>[], boolean]>([
    ['one pair of one map', [{ rack: 'a1' }], true],
    ['one pair of several in a map', [{ zone: 'x', rack: 'a1' }], true],
    ['one map of several', [{ zone: 'x' }, { rack: 'a1' }], true],
    ['no pair', [{ rack: 'a2' }], false],
    ['a list without any pair', [{}], false],
    ['a name every object has', [{ constructor: 'a1' }], false],
  ])('%s', (_, labelSelectors, expected) => {
    expect(matches({ qualifiers: { labelSelectors } }, aServer({ labels: { rack: 'a1' } }))).toBe(expected);
  });

  test('are asked for in addition to hardware', () => {
    const qualifiers = { hardware: [gold], labelSelectors: [{ rack: 'a1' }] };
    expect(matches({ qualifiers }, has(gold))).toBe(false);
    expect(matches({ qualifiers }, aServer({ hardware: gold, labels: { rack: 'a1' } }))).toBe(true);
  });
});

const anyHardware = fc.record(
  {
    system: fc.record({ manufacturer: fc.constantFrom('', 'Dell', 'HPE'), family: fc.constantFrom('', 'x') }, { requiredKeys: [] }),
    compute: fc.record(
      {
        processorCount: fc.nat(2),
        processors: fc.array(fc.record({ coreCount: fc.nat(2), productName: fc.constantFrom('', 'Gold') }, { requiredKeys: [] }), { maxLength: 3 }),
      },
      { requiredKeys: [] },
    ),
    bmc: fc.record({ present: fc.boolean() }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<HardwareInformation>;

describe('whatever the hardware', () => {
  test('a server is in the class that demands exactly what it has', () => {
    fc.assert(
      fc.property(anyHardware, (hardware) => {
        expect(matches(wants(hardware), has(hardware))).toBe(true);
      }),
    );
  });

  test('a demand less never takes a server out', () => {
    const members = fc.constantFrom('system', 'compute', 'bmc');
    fc.assert(
      fc.property(anyHardware, anyHardware, members, (entry, actual, member) => {
        const { [member]: _, ...less } = entry as Record<string, unknown>;
        if (matches(wants(entry), has(actual))) expect(matches(wants(less), has(actual))).toBe(true);
      }),
    );
  });

  test('a processor more at the end never takes a server out', () => {
    fc.assert(
      fc.property(anyHardware, anyHardware, (entry, actual) => {
        const more = { ...actual, compute: { ...actual.compute, processors: [...(actual.compute?.processors ?? []), {}] } };
        if (matches(wants(entry), has(actual))) expect(matches(wants(entry), has(more))).toBe(true);
      }),
    );
  });
});

test('10,000 servers are matched in well under a second', () => {
  const matcher = matchServerClass(
    aClass({ selector: { matchLabels: { rack: 'a1' } }, qualifiers: { hardware: [{ system: { family: 'x' } }, gold] } }),
  );
  const server = aServer({ hardware: gold, labels: { rack: 'a1' } });
  const before = process.cpuUsage();
  expect(Array.from({ length: 10_000 }, () => matcher(server)).every(Boolean)).toBe(true);
  // Of the processor: what others do on this host is not counted.
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(500);
});
