import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseResourcePath, writeOptions } from './request.ts';
import { ApiError } from './status.ts';

const parse = (path: string) => {
  const { query: _query, ...rest } = parseResourcePath(path, new URLSearchParams()) ?? { query: undefined };
  return rest;
};

describe('paths', () => {
  test.each([
    ['/api/v1/namespaces/a', { group: '', version: 'v1', resource: 'namespaces', namespace: '', name: 'a', subresource: undefined }],
    ['/api/v1/namespaces/a/status', { group: '', version: 'v1', resource: 'namespaces', namespace: '', name: 'a', subresource: 'status' }],
    ['/api/v1/namespaces/a/secrets', { group: '', version: 'v1', resource: 'secrets', namespace: 'a', name: undefined, subresource: undefined }],
    [
      '/apis/example.dev/v1/widgets/w/status',
      { group: 'example.dev', version: 'v1', resource: 'widgets', namespace: '', name: 'w', subresource: 'status' },
    ],
    ['/apis/example.dev/v1', {}],
    ['/version', {}],
  ])('%s', (path, expected) => {
    expect(parse(path)).toEqual(expected);
  });

  // For paths fast-check makes a table of all of Unicode first.
  test('no path and no query crash it', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.oneof(fc.webPath(), fc.string()), fc.webQueryParameters(), (path, query) => {
        try {
          parseResourcePath(`/api/v1/${path}`, new URLSearchParams(query));
          writeOptions(new URLSearchParams(query), 'kubectl/v1.35');
        } catch (error) {
          expect(error).toBeInstanceOf(ApiError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
