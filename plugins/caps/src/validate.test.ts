import type { KubeObject } from '@sidero/core';
import { expect, test } from 'vitest';
import { capsCustomResources } from './custom-resources.ts';

const { validate } = capsCustomResources().find(({ definition }) => definition.spec.names.kind === 'MetalMachineTemplate')!;

function template(spec: unknown, labels: Record<string, string> = {}): KubeObject {
  const metadata = { name: 'workers', namespace: 'default', labels };
  return { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3', kind: 'MetalMachineTemplate', metadata, ...(spec ? { spec } : {}) } as KubeObject;
}
const ofClass = (name: string) => ({ template: { spec: { serverClassRef: { kind: 'ServerClass', name } } } });
const update = (oldObject: KubeObject, object: KubeObject) => validate!({ operation: 'UPDATE', oldObject, object });

test('a template with another spec is refused', () => {
  expect(update(template(ofClass('any')), template(ofClass('big')))).toEqual({
    allowed: false,
    reason: 'BadRequest',
    message: expect.stringContaining('MetalMachineTemplate.Spec is immutable') as string,
  });
});

test.each<[string, unknown, unknown]>([
  ['gets a spec', undefined, ofClass('any')],
  ['loses its spec', ofClass('any'), undefined],
  ['gets a field more', ofClass('any'), { template: { spec: { ...ofClass('any').template.spec, providerID: 'sidero://a' } } }],
])('a template that %s is refused', (_, before, after) => {
  expect(update(template(before), template(after))).toMatchObject({ allowed: false });
});

test('a template with other labels is allowed', () => {
  expect(update(template(ofClass('any')), template(ofClass('any'), { team: 'a' }))).toEqual({ allowed: true });
});

test.each<[string, unknown, unknown]>([
  [
    'the order of members',
    { template: { spec: { providerID: 'a', serverRef: { kind: 'Server', name: 'b' } } } },
    { template: { spec: { serverRef: { name: 'b', kind: 'Server' }, providerID: 'a' } } },
  ],
  ['an empty text', { template: { spec: { providerID: '' } } }, { template: { spec: {} } }],
  ['an empty struct', undefined, { template: { spec: {} } }],
  ['null', { template: { spec: { serverRef: null } } }, { template: { spec: {} } }],
])('%s is no change', (_, before, after) => {
  expect(update(template(before), template(after))).toEqual({ allowed: true });
});

test('making and removing a template is allowed', () => {
  expect(validate!({ operation: 'CREATE', oldObject: undefined, object: template(ofClass('any')) })).toEqual({ allowed: true });
  expect(validate!({ operation: 'DELETE', oldObject: template(ofClass('any')), object: undefined })).toEqual({ allowed: true });
});
