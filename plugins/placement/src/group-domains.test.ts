import type { Change, ResourceClient, Server, ServerBinding } from '@sidero/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countBy, GroupDomains } from './group-domains.ts';

const RACK = 'example.com/rack';
const serverIn = (name: string, rack?: string) => ({ metadata: { name, labels: rack === undefined ? {} : { [RACK]: rack } } }) as unknown as Server;
const bindingOf = (name: string, deployment: string) =>
  ({
    metadata: { name, labels: { 'cluster.x-k8s.io/cluster-name': 'rack-1', 'cluster.x-k8s.io/deployment-name': deployment } },
    spec: { metalMachineRef: { kind: 'MetalMachine', namespace: 'default', name: 'm' } },
  }) as unknown as ServerBinding;

/** What a client tells its watchers, when it is told to. */
function aWire() {
  const handlers = new Map<string, (change: Change<Server | ServerBinding>) => void>();
  const resources = {
    watch: ({ kind }: { kind: string }, handler: never) => handlers.set(kind, handler),
    list: async () => [],
  } as unknown as ResourceClient;
  const tell = (kind: 'Server' | 'ServerBinding', type: 'changed' | 'removed', object: Server | ServerBinding) =>
    handlers.get(kind)!({ type, object });
  return { domains: new GroupDomains(resources, RACK), tell };
}

const name = fc.constantFrom('s1', 's2', 's3', 's4');
const rack = fc.option(fc.constantFrom('a', 'b'), { nil: undefined });
const change = fc.oneof(
  fc.record({ kind: fc.constant('server' as const), name, rack }),
  fc.record({ kind: fc.constant('server gone' as const), name }),
  fc.record({ kind: fc.constant('bound' as const), name, group: fc.constantFrom('x', 'y') }),
  fc.record({ kind: fc.constant('released' as const), name }),
);
type Told = typeof change extends fc.Arbitrary<infer T> ? T : never;

function tellOf(each: Told, tell: ReturnType<typeof aWire>['tell']): void {
  if (each.kind === 'server') tell('Server', 'changed', serverIn(each.name, each.rack));
  else if (each.kind === 'server gone') tell('Server', 'removed', serverIn(each.name));
  else if (each.kind === 'bound') tell('ServerBinding', 'changed', bindingOf(each.name, each.group));
  else tell('ServerBinding', 'removed', bindingOf(each.name, 'x'));
}

test('after any changes the counts are those of the servers that the group has, and of those that are coming', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change), fc.array(name), async (changes, coming) => {
      const { domains, tell } = aWire();
      await domains.counts('', []);
      const racks = new Map<string, string | undefined>();
      const groups = new Map<string, string>();
      for (const each of changes) {
        if (each.kind === 'server') racks.set(each.name, each.rack);
        else if (each.kind === 'server gone') racks.delete(each.name);
        else if (each.kind === 'bound') groups.set(each.name, each.group);
        else groups.delete(each.name);
        tellOf(each, tell);
      }
      const ofGroup = [...groups].filter(([, group]) => group === 'x').map(([of]) => of);
      const all = [...new Set([...ofGroup, ...coming])].map((of) => serverIn(of, ofGroup.includes(of) ? racks.get(of) : 'c'));
      const found = await domains.counts(
        'default/rack-1/x',
        coming.map((of) => serverIn(of, 'c')),
      );
      expect(found).toEqual({ counts: countBy(RACK, all), size: all.length });
    }),
  );
});
