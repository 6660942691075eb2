import { expect, test } from 'vitest';
import { documentsOf, readsDocuments } from './documents.ts';

// Of the original, but for the token.
test('the documents are those of the original, with the token of the machine', () => {
  const addresses = {
    join: '172.25.0.2:8081?jointoken=T',
    kernelLog: 'tcp://[fdae:2859:5bb1:7a03::1]:4001',
    events: '[fdae:2859:5bb1:7a03::1]:4002',
  };
  expect(documentsOf(addresses)).toEqual([
    'apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: grpc://172.25.0.2:8081?jointoken=T\n',
    "apiVersion: v1alpha1\nkind: EventSinkConfig\nendpoint: '[fdae:2859:5bb1:7a03::1]:4002'\n",
    'apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: remote-log\nurl: tcp://[fdae:2859:5bb1:7a03::1]:4001\n',
  ]);
});

test.each([
  ['v1.13.0', true],
  ['v1.5.0', true],
  ['1.5.0-alpha.1', true],
  ['v2.0.0', true],
  ['v1.4.8', false],
  ['v0.14.3', false],
  ['', true],
  ['main', true],
])('Talos %j reads them: %s', (version, reads) => {
  expect(readsDocuments(version)).toBe(reads);
});
