import type { KubeEvent, ServerBinding } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { explainLink, type LinkFindings } from './explain-link.ts';

const UUID = '6b121f82-24a8-4611-9d23-fa1a5ba564f0';
const ADDRESS = 'fdae:2859:5bb1:7a03::5/64';

function aLink(annotations: Readonly<Record<string, string>> = {}, more: Partial<ServerBinding> = {}): ServerBinding {
  const named = Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`metal.sidero.dev/${key}`, value]));
  return {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'ServerBinding',
    metadata: { name: UUID, annotations: named },
    spec: { metalMachineRef: { name: 'mm' }, siderolink: { address: ADDRESS, publicKey: 'key' } },
    ...more,
  };
}

const anEvent = (message: string, count = 1): KubeEvent => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: 'event' },
  involvedObject: {},
  message,
  count,
  lastTimestamp: '2026-11-29T23:00:00Z',
});

const told = (binding: ServerBinding, more: Partial<LinkFindings> = {}) =>
  explainLink({
    binding,
    authority: '10.0.0.1:8081',
    wireguard: '10.0.0.1:51821',
    refused: undefined,
    troubles: [],
    kept: { log: undefined, events: undefined },
    dataDir: '/srv/sidero',
    leader: 'sidero-0',
    namespace: 'sidero-system',
    when: (time) => `at ${time.toISOString().slice(11, 19)}`,
    ...more,
  });

const JOINED = { 'siderolink-joined': 'proven 2026-11-29T22:10:00.000Z', 'talos-version': 'v1.13.0' };

describe('what is known of the SideroLink of a server', () => {
  test('it never joined, and why that may be', () => {
    const never: Partial<ServerBinding> = { spec: { metalMachineRef: { name: 'mm' } } };
    expect(told(aLink({}, never))).toEqual([
      'never joined; no network boot of ours has told it where to. Next: read its console: once it has an address, Talos asks 10.0.0.1:8081 (TCP)',
    ]);
    expect(
      told(
        aLink({ 'siderolink-token': 'given' }, { ...never, metadata: { name: UUID, annotations: { 'metal.sidero.dev/siderolink-token': 'given' } } }),
      )[0],
    ).toMatch(/^never joined; it was told where to at its network boot/);
  });

  test.each([
    ['proven', 'with its token'],
    ['open', 'without a token, for its ServerBinding is from before tokens'],
    ['own-argument', 'without a token, for its Environment has siderolink.api= of its own'],
    ['unproven', 'without the proof that bootAuth: require would have asked for'],
  ])('when it joined, and how it was let in (%s)', (admitted, how) => {
    const [joined] = told(aLink({ ...JOINED, 'siderolink-joined': `${admitted} 2026-11-29T22:10:00.000Z` }));
    expect(joined).toBe(`joined at 22:10:00 ${how}, at ${ADDRESS}, Talos v1.13.0`);
  });

  test('of a binding of the original only that it joined', () => {
    expect(told(aLink())[0]).toBe(`joined before this was noted, at ${ADDRESS}`);
  });

  test('it waits for the replica that leads', () => {
    const waiting = aLink({ ...JOINED, 'siderolink-pending': 'key' });
    expect(told(waiting)[0]).toMatch(/; it waits to be let in\. Next: see the log of the replica that leads \(sidero-0\)$/);
    expect(told(waiting, { leader: undefined })[0]).toMatch(/see the log of the replica that leads: none does now$/);
  });

  test.each([
    ['up', 'heard since at 22:10:01, last at 10.0.0.50:51820'],
    [
      'silent',
      `silent, last heard at 22:10:01 at 10.0.0.50:51820. Next: is it on (sidero power status ${UUID})? Does UDP from it still reach 10.0.0.1:51821, and behind it sidero-0, which leads? It joins anew by itself`,
    ],
    [
      'unheard',
      "never heard since it joined, in place at 22:10:01. Next: let UDP from it reach 10.0.0.1:51821, and behind it sidero-0, which leads; or set transport: 'grpc'",
    ],
    ['unknown', 'not told yet whether it is heard: the replica that leads looks every 10 s, and gives it 60 s'],
  ])('whether it is heard (%s)', (word, text) => {
    const annotations = { ...JOINED, 'siderolink-endpoint': '10.0.0.50:51820', 'siderolink-link': `${word} 2026-11-29T22:10:01.000Z` };
    expect(told(aLink(annotations))[1]).toBe(text);
  });

  test('what is the matter comes first, and who was refused is told with what to do', () => {
    const lines = told(aLink(JOINED), { troubles: [anEvent('There is no tunnel.')], refused: anEvent('A machine at 10.0.0.66 was refused.', 3) });
    expect(lines[0]).toBe('at 23:00:00: There is no tunnel.');
    expect(lines[3]).toBe('at 23:00:00 (3 times): A machine at 10.0.0.66 was refused. If it is the machine itself, boot it from the network once.');
  });

  test('when its last lines came, and the last event that changed anything', () => {
    const status = { talosEvent: { id: 'c857jkm1jjcc7393cbs0', boot: 'key' } };
    expect(
      told(aLink(JOINED, { status } as Partial<ServerBinding>), { kept: { log: new Date('2026-11-29T22:59:59Z'), events: undefined } }).slice(2),
    ).toEqual([
      "the last event that changed anything is c857jkm1jjcc7393cbs0, at 15:48:34 by the machine's clock",
      `kernel log lines: last one at 22:59:59; sidero logs ${UUID} -f`,
      `events: none yet; sidero events ${UUID} -f`,
    ]);
  });

  test('where its lines are when they are not here', () => {
    expect(told(aLink(JOINED), { kept: undefined }).at(-1)).toBe(
      `its lines are kept by the replica that leads (sidero-0), not here. Next: kubectl -n sidero-system port-forward pod/sidero-0 8443 (on the host's network sidero-0 is the node; kubectl get pods -o wide tells the pod), then sidero logs ${UUID} --from https://localhost:8443`,
    );
    expect(told(aLink(JOINED), { kept: undefined, leader: undefined }).at(-1)).toBe(
      `its lines are not in /srv/sidero: the sidero that leads keeps them. Next: give --data-dir as it has it, or sidero logs ${UUID} --from https://HOST:8443`,
    );
  });
});
