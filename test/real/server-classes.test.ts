import type { Server, ServerClass } from '@sidero/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isPossible, type SideroOnKubernetes, startSideroOnKubernetes } from './sidero-on-kubernetes.ts';

const apiVersion = 'metal.sidero.dev/v1alpha2';

describe.skipIf(!isPossible)('ServerClasses on a real API server', () => {
  let cluster: SideroOnKubernetes;
  beforeAll(async () => {
    cluster = await startSideroOnKubernetes('everything');
  });
  afterAll(() => cluster?.close());

  const create = (object: object) => cluster.kubectl(['create', '-f', '-'], { apiVersion, ...object });
  const aServer = (name: string, spec: Partial<Server['spec']> = {}) => ({
    kind: 'Server',
    metadata: { name, labels: { rack: name.slice(0, 1) } },
    spec: { accepted: true, ...spec },
  });
  const aClass = (name: string, spec: object) => ({ kind: 'ServerClass', metadata: { name }, spec });
  const statusOf = async (name: string) => (await cluster.get<ServerClass>('serverclass', name)).status;
  const until = { interval: 100 };

  test('the class any is made, holds every accepted server, and comes back when it is deleted', async () => {
    await expect.poll(() => statusOf('any'), until).toEqual({ serversAvailable: [], serversInUse: [] });
    await create(aServer('b1'));
    await create(aServer('a1'));
    await create(aServer('a2', { accepted: false }));
    await create(aServer('a3', { cordoned: true }));
    await expect.poll(() => statusOf('any'), until).toEqual({ serversAvailable: ['a1', 'b1'], serversInUse: [] });

    const { uid } = (await cluster.get<ServerClass>('serverclass', 'any')).metadata;
    await cluster.kubectl(['delete', 'serverclass', 'any']);
    await expect
      .poll(async () => (await cluster.get<ServerClass>('serverclass', 'any').catch(() => undefined))?.metadata.uid ?? uid, until)
      .not.toBe(uid);
    await expect.poll(() => statusOf('any'), until).toEqual({ serversAvailable: ['a1', 'b1'], serversInUse: [] });
  });

  test('qualifiers of the class any are taken off, its selector stays', async () => {
    const spec = { selector: { matchLabels: { rack: 'a' } }, qualifiers: { hardware: [{ memory: { totalSize: '1 GB' } }] } };
    await cluster.kubectl(['patch', 'serverclass', 'any', '--type=merge', '-p', JSON.stringify({ spec })]);
    await expect.poll(async () => (await cluster.get<ServerClass>('serverclass', 'any')).spec, until).toEqual({ selector: spec.selector });
    await expect.poll(() => statusOf('any'), until).toEqual({ serversAvailable: ['a1'], serversInUse: [] });
  });

  test('a class follows its servers: labels, use, cordon, removal', async () => {
    await create(aServer('c1'));
    await create(aServer('c2'));
    await create(aClass('rack-c', { selector: { matchLabels: { rack: 'c' } } }));
    await expect.poll(() => statusOf('rack-c'), until).toEqual({ serversAvailable: ['c1', 'c2'], serversInUse: [] });
    await cluster.kubectl(['create', '-f', '-'], {
      apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
      kind: 'ServerBinding',
      metadata: { name: 'c1' },
      spec: { metalMachineRef: { kind: 'MetalMachine', namespace: 'default', name: 'm1' } },
    });
    await expect.poll(() => statusOf('rack-c'), until).toEqual({ serversAvailable: ['c2'], serversInUse: ['c1'] });
    await cluster.kubectl(['patch', 'server', 'c2', '--type=merge', '-p', '{"spec":{"cordoned":true}}']);
    await expect.poll(() => statusOf('rack-c'), until).toEqual({ serversAvailable: [], serversInUse: ['c1'] });
    await cluster.kubectl(['delete', 'serverbinding', 'c1']);
    await cluster.kubectl(['delete', 'server', 'c1']);
    await expect.poll(() => statusOf('rack-c'), until).toEqual({ serversAvailable: [], serversInUse: [] });
  });

  test('a class with an impossible selector gets an Event and keeps its status, while the others go on', async () => {
    await create(aClass('broken', { selector: { matchExpressions: [{ key: 'rack', operator: 'Bogus' }] } }));
    const events = async () =>
      cluster.kubectl([
        'get',
        'events',
        '--all-namespaces',
        '-o',
        'jsonpath={range .items[?(@.involvedObject.name=="broken")]}{.type} {.message}{"\\n"}{end}',
      ]);
    await expect
      .poll(events, until)
      .toMatch(
        /^Warning ServerClass broken can't be matched with Servers: selector: "rack": "Bogus" is none of In, NotIn, Exists, DoesNotExist\. Next: /,
      );
    await create(aServer('d1'));
    await create(aClass('rack-d', { selector: { matchLabels: { rack: 'd' } } }));
    await expect.poll(() => statusOf('rack-d'), until).toEqual({ serversAvailable: ['d1'], serversInUse: [] });
    expect(await statusOf('broken')).toBeUndefined();
  });

  test('nothing is written while nothing changes', async () => {
    const version = async () => (await cluster.get<ServerClass>('serverclass', 'rack-d')).metadata.resourceVersion;
    const before = await version();
    await cluster.kubectl(['label', 'server', 'd1', 'owner=me']);
    await create(aServer('e1'));
    await create(aClass('rack-e', { selector: { matchLabels: { rack: 'e' } } }));
    await expect.poll(() => statusOf('rack-e'), until).toEqual({ serversAvailable: ['e1'], serversInUse: [] });
    expect(await version()).toBe(before);
  });
});
