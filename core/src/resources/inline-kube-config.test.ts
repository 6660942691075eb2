import { hasCode } from '../errors.ts';
import { expect, test } from 'vitest';
import * as fc from 'fast-check';
import { inlineKubeConfig } from './inline-kube-config.ts';

const kubeConfig = (user: object, cluster: object = {}) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { server: 'https://10.0.0.1:6443', ...cluster } }],
    users: [{ name: 'u', user }],
  });
const problemOf = (text: string): string => {
  try {
    inlineKubeConfig(text);
  } catch (thrown) {
    if (hasCode(thrown, 'SIDERO_CLUSTER_INVALID')) return thrown.message;
    throw thrown;
  }
  return 'none';
};

test('a kubeconfig with everything in it is taken', () => {
  expect(inlineKubeConfig(kubeConfig({ token: 't' })).getCurrentUser()?.token).toBe('t');
});

test.each([
  ['a program', kubeConfig({ exec: { command: '/bin/sh', apiVersion: 'client.authentication.k8s.io/v1' } }), 'exec'],
  ['a client certificate on disk', kubeConfig({ 'client-certificate': '/etc/shadow', 'client-key-data': 'a' }), 'certFile'],
  ['a key on disk', kubeConfig({ 'client-key': '/root/.ssh/id' }), 'keyFile'],
  ['an auth provider', kubeConfig({ 'auth-provider': { name: 'gcp', config: { 'cmd-path': '/bin/sh' } } }), 'authProvider'],
  ['an authority on disk', kubeConfig({ token: 't' }, { 'certificate-authority': '/etc/shadow' }), 'certificate-authority'],
])('%s of ours is refused', (_, text, problem) => {
  expect(problemOf(text)).toContain(problem);
});

test('whatever stands in the Secret, it is a kubeconfig or a SIDERO_CLUSTER_INVALID', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.anything().map((user) => kubeConfig(user as object)),
  );
  fc.assert(
    fc.property(texts, (text) => void problemOf(text)),
    { numRuns: 300 },
  );
});
