import { describe, expect, test } from 'vitest';
import type { ServerEvent } from '../hooks.ts';
import type { Server } from '../resources/kinds.ts';
import { createEvidence } from './evidence.ts';

const UUID = '4c4c4544-0039-3010-804a-b5c04f4e3232';
const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

function aKnownServer(status: Server['status'] = {}): Server {
  const network = { interfaces: [{ mac: '52:54:00:00:00:01' }, { mac: '' }, {}] };
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name: UUID },
    spec: { accepted: true, hardware: { network } },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.7' }], ...status },
  };
}

function seen(events: readonly ServerEvent[], server = aKnownServer()) {
  const evidence = createEvidence();
  for (const event of events) evidence.note(event);
  return evidence.seen(server, at(10));
}

describe('a machine was seen', () => {
  test.each<[string, ServerEvent]>([
    ['its UUID', { type: 'seen', wire: 'ipxe', uuid: UUID.toUpperCase(), at: at(11) }],
    ['a MAC address of its inventory', { type: 'seen', wire: 'dhcp', mac: '52:54:00:00:00:01', at: at(11) }],
    ['an address of its status', { type: 'seen', wire: 'tftp', address: '10.0.0.7', at: at(11) }],
    [
      'a transfer to its address',
      { type: 'transfer', wire: 'http', file: 'x', address: '10.0.0.7', sentBytes: 1, totalBytes: 2, state: 'running', at: at(11) },
    ],
  ])('by %s', (_name, event) => {
    expect(seen([event])).toEqual({ wire: event.type === 'environment' ? '' : 'wire' in event ? event.wire : '', at: at(11) });
  });

  test('by another replica, which wrote it into the Server', () => {
    expect(seen([], aKnownServer({ boot: { handedAt: at(12).toISOString() } }))).toEqual({ wire: 'ipxe', at: at(12) });
    expect(seen([], aKnownServer({ boot: { handedAt: at(12).toISOString(), seenAt: at(20).toISOString() } }))).toEqual({ wire: 'agent', at: at(20) });
  });

  test('where it is, not where the end of a transfer was told late', () => {
    const events: ServerEvent[] = [
      { type: 'seen', wire: 'agent', uuid: UUID, at: at(11) },
      { type: 'transfer', wire: 'http', file: 'initramfs.xz', address: '10.0.0.7', sentBytes: 2, totalBytes: 2, state: 'done', at: at(12) },
    ];
    expect(seen(events)).toEqual({ wire: 'agent', at: at(11) });
  });

  test('last on the wire where it was last', () => {
    const events: ServerEvent[] = [
      { type: 'seen', wire: 'dhcp', mac: '52:54:00:00:00:01', at: at(11) },
      { type: 'seen', wire: 'ipxe', uuid: UUID, at: at(13) },
      { type: 'seen', wire: 'tftp', address: '10.0.0.7', at: at(12) },
    ];
    expect(seen(events)).toEqual({ wire: 'ipxe', at: at(13) });
  });
});

describe('a machine was not seen', () => {
  test.each<[string, ServerEvent]>([
    ['before the time in question', { type: 'seen', wire: 'ipxe', uuid: UUID, at: at(9) }],
    ['when it was another', { type: 'seen', wire: 'ipxe', uuid: 'other', mac: '52:54:00:00:00:02', address: '10.0.0.8', at: at(11) }],
    ['when another uses its address', { type: 'seen', wire: 'ipxe', uuid: 'other', address: '10.0.0.7', at: at(11) }],
    ['when another MAC address has its address', { type: 'seen', wire: 'dhcp', mac: '52:54:00:00:00:02', address: '10.0.0.7', at: at(11) }],
    ['when it was told of only', { type: 'wiped', uuid: UUID, detail: '', at: at(11) }],
  ])('%s', (_name, event) => {
    expect(seen([event])).toBeUndefined();
  });

  test('by a time that cannot be read', () => {
    expect(seen([], aKnownServer({ boot: { handedAt: 'soon' } }))).toBeUndefined();
  });
});

test('those who were quiet longest are forgotten first', () => {
  const evidence = createEvidence();
  const server = (uuid: string): Server => ({ ...aKnownServer(), metadata: { name: uuid }, status: {} });
  for (let index = 0; index <= 20_000; index++) evidence.note({ type: 'seen', wire: 'ipxe', uuid: `uuid-${index}`, at: at(11) });
  expect(evidence.seen(server('uuid-0'), at(10))).toBeUndefined();
  expect(evidence.seen(server('uuid-1'), at(10))).toBeDefined();
});
