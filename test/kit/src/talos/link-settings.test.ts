import { expect, test } from 'vitest';
import { linkSettingsOfArgs, linkSettingsOfConfig } from './link-settings.ts';

test('kernel arguments say where SideroLink is, with and without a scheme', () => {
  const rest = ['talos.events.sink=[fd00::1]:4002', 'talos.logging.kernel=tcp://[fd00::1]:4001'];
  const found = { api: '10.0.0.1:8081', joinToken: 'abc', events: '[fd00::1]:4002', logs: '[fd00::1]:4001' };
  expect(linkSettingsOfArgs(['siderolink.api=10.0.0.1:8081?jointoken=abc', ...rest])).toEqual(found);
  expect(linkSettingsOfArgs(['siderolink.api=grpc://10.0.0.1:8081?jointoken=abc', ...rest])).toEqual(found);
  expect(linkSettingsOfArgs(rest)).toBeUndefined();
});

test('so do the documents of a configuration, for a machine that boots from disk', () => {
  const documents = [
    'version: v1alpha1',
    'apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: grpc://[fd00::2]:8081?jointoken=abc',
    "apiVersion: v1alpha1\nkind: EventSinkConfig\nendpoint: '[fd00::1]:4002'",
    'apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: remote-log\nurl: tcp://[fd00::1]:4001',
  ];
  const found = { api: '[fd00::2]:8081', joinToken: 'abc', events: '[fd00::1]:4002', logs: '[fd00::1]:4001' };
  expect(linkSettingsOfConfig(documents.join('\n---\n'))).toEqual(found);
  expect(linkSettingsOfConfig(documents[0]!)).toBeUndefined();
});
