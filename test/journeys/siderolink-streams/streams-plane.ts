import { definePlugin, type KubeObject, type Plugin, type ResourceClient, type ServerBinding, type ServerEvent } from '@sidero/core';
import { capsCustomResources, type MetalMachine } from '@sidero/plugin-caps';
import { aBinding, FIXTURE_UUID, freePorts, testSidero, type TestSidero, type TestSideroOptions } from '@sidero/testing';
import * as z from 'zod';
import type { LinkPlace } from '../../../plugins/siderolink/src/link.ts';
import { options as siderolinkOptions } from '../../../plugins/siderolink/src/plugin.ts';
import { addStreams } from '../../../plugins/siderolink/src/add-streams.ts';
import { MachineKind } from '../clusters/cluster-api.ts';

/** A plane whose tunnel is loopback: machines are told apart by their 127.x address. */
export interface StreamsPlane extends AsyncDisposable {
  readonly sidero: TestSidero;
  readonly dataDir: string;
  readonly logPort: number;
  readonly eventPort: number;
  /** Everything that `stream` told, in its order. */
  readonly told: readonly ServerEvent[];
  /** Lines of kernel logs among that. */
  lines(): readonly string[];
  /** Text of `/metrics`. */
  metrics(): Promise<string>;
}

export interface StreamsPlaneOptions extends TestSideroOptions {
  readonly siderolink?: z.input<typeof siderolinkOptions>;
  /** Whether `told` is kept. Default true. */
  readonly isWitnessed?: boolean;
}

// As in the tunnel: 127.0.0.1 is us, and nobody else is in it.
const PLACE: LinkPlace = { host: '127.0.0.1', isMachine: (address) => address.startsWith('127.') && address !== '127.0.0.1' };

export async function streamsPlane(options: StreamsPlaneOptions = {}): Promise<StreamsPlane> {
  const [logPort = 0, eventPort = 0] = await freePorts(2);
  const told: ServerEvent[] = [];
  const given = siderolinkOptions.parse({ logPort, eventPort, ...options.siderolink });
  const seen: Pick<StreamsPlane, 'dataDir' | 'metrics'>[] = [];
  const own = [streamsOnLoopback(given, seen), ...(options.isWitnessed === false ? [] : [witness(told)])];
  const sidero = await testSidero({ ...options, plugins: [...own, ...(options.plugins ?? [])] });
  return {
    ...seen[0]!,
    sidero,
    logPort: given.logPort,
    eventPort: given.eventPort,
    told,
    lines: () => told.flatMap((event) => (event.type === 'log' ? [event.line] : [])),
    [Symbol.asyncDispose]: () => sidero.close(),
  };
}

function streamsOnLoopback(given: z.output<typeof siderolinkOptions>, seen: Pick<StreamsPlane, 'dataDir' | 'metrics'>[]): Plugin {
  return definePlugin({
    name: 'siderolink',
    options: z.strictObject({}),
    setup(sidero) {
      seen.push({ dataDir: sidero.site.dataDir, metrics: () => sidero.metrics.text() });
      for (const resource of capsCustomResources()) if (resource.name.startsWith('metalmachines.')) sidero.customResources.add(resource);
      for (const listener of addStreams(sidero, given))
        sidero.services.add({ name: listener.name, where: 'every', run: (signal, ready) => listener.serve(PLACE, signal, ready) });
    },
  })();
}

function witness(told: ServerEvent[]): Plugin {
  const setup: Plugin['setup'] = ({ hooks }) => hooks.stream.tap('witness', (event) => void told.push(event));
  return definePlugin({ name: 'witness', options: z.strictObject({}), setup })();
}

/** The binding of the fixture's machine, at an address of loopback. */
export function aLinkedBinding(address = '127.0.0.2', name = FIXTURE_UUID): ServerBinding {
  return aBinding({ metadata: { name }, spec: { siderolink: { address: `${address}/64`, publicKey: `key of ${name}` } } });
}

/** A Machine of Cluster API. */
export function createOwner(resources: ResourceClient, name: string): Promise<KubeObject> {
  const { apiVersion, kind } = MachineKind;
  return resources.create<KubeObject>(MachineKind, { apiVersion, kind, metadata: { namespace: 'default', name } });
}

/** How an owner stands in what it owns. */
export function ownerReference({ apiVersion, kind, metadata: { name, uid = '' } }: KubeObject) {
  return { apiVersion, kind, name, uid };
}

/** The MetalMachine that fixtures of bindings name. */
export function aMetalMachine(owner: KubeObject): MetalMachine {
  const metadata = { namespace: 'default', name: 'rack-1-cp-x7k2p', ownerReferences: [ownerReference(owner)] };
  return { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3', kind: 'MetalMachine', metadata, spec: {} };
}
