import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileJsonPath } from './json-path.ts';

const object = {
  metadata: {
    labels: { 'example.dev/name': 'x' },
    ownerReferences: [
      { kind: 'Other', name: 'o' },
      { kind: 'Machine', name: 'm' },
    ],
  },
  status: {
    conditions: [
      { type: 'Ready', status: 'True', count: 3 },
      { type: 'Live', status: 'False' },
    ],
    list: ['a', 'b'],
  },
};

describe('JSONPath of printer columns', () => {
  test.each([
    ['.metadata.labels.example\\.dev/name', ['x']],
    ["{.metadata.labels['example.dev/name']}", ['x']],
    ['.metadata.ownerReferences[?(@.kind=="Machine")].name', ['m']],
    [".status.conditions[?(@.type=='Ready')].status", ['True']],
    ['.status.conditions[?(@.count>2)].type', ['Ready']],
    ['.status.conditions[?(@.count)].type', ['Ready']],
    ['.status.conditions[*].type', ['Ready', 'Live']],
    ['.status.list[0]', ['a']],
    ['.status.list[-1]', ['b']],
    ['.status.nothing.there', []],
    ['.constructor', []],
  ])('%s', (path, expected) => {
    expect(compileJsonPath(path)(object)).toEqual(expected);
  });

  test('what cannot be read is a SyntaxError that says where', () => {
    expect(() => compileJsonPath('.a[?(')).toThrow(new SyntaxError('JSONPath ".a[?(" is not understood from character 2 on'));
  });

  test('no text crashes it', () => {
    const pieces = fc.array(fc.constantFrom('.', 'a', '[', ']', '?', '(', ')', '@', '==', '"', "'", '\\', '*', '0', '-', ' '), { maxLength: 14 });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          pieces.map((all) => all.join('')),
        ),
        (path) => {
          try {
            compileJsonPath(path)(object);
          } catch (error) {
            expect(error).toBeInstanceOf(SyntaxError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
