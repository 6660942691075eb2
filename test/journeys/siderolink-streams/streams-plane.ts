import { definePlugin, type Plugin, type ServerBinding, type ServerEvent } from '@sidero/core';
import { aBinding, FIXTURE_UUID, testSidero, type TestSidero, type TestSideroOptions } from '@sidero/testing';
import * as z from 'zod';
import type { LinkPlace } from '../../../plugins/siderolink/src/link.ts';
import { options as siderolinkOptions } from '../../../plugins/siderolink/src/plugin.ts';
import { addStreams } from '../../../plugins/siderolink/src/streams.ts';
import { freeTcpPorts } from './talos-node.ts';

/** A plane whose tunnel is loopback: machines are told apart by their 127.x address. */
export interface StreamsPlane extends AsyncDisposable {
  readonly sidero: TestSidero;
  readonly logPort: number;
  readonly eventPort: number;
  /** Everything that `stream` told, in its order. */
  readonly told: readonly ServerEvent[];
  /** Lines of kernel logs among that. */
  lines(): readonly string[];
}

export interface StreamsPlaneOptions extends TestSideroOptions {
  readonly siderolink?: z.input<typeof siderolinkOptions>;
  /** Whether `told` is kept. Default true. */
  readonly isWitnessed?: boolean;
}

// As in the tunnel: 127.0.0.1 is us, and nobody else is in it.
const PLACE: LinkPlace = { host: '127.0.0.1', isMachine: (address) => address.startsWith('127.') && address !== '127.0.0.1' };

export async function streamsPlane(options: StreamsPlaneOptions = {}): Promise<StreamsPlane> {
  const [logPort = 0, eventPort = 0] = await freeTcpPorts(2);
  const told: ServerEvent[] = [];
  const given = siderolinkOptions.parse({ logPort, eventPort, ...options.siderolink });
  const sidero = await testSidero({
    ...options,
    plugins: [streamsOnLoopback(given)(), ...(options.isWitnessed === false ? [] : [witness(told)]), ...(options.plugins ?? [])],
  });
  return {
    sidero,
    logPort: given.logPort,
    eventPort: given.eventPort,
    told,
    lines: () => told.flatMap((event) => (event.type === 'log' ? [event.line] : [])),
    [Symbol.asyncDispose]: () => sidero.close(),
  };
}

const streamsOnLoopback = (given: z.output<typeof siderolinkOptions>) =>
  definePlugin({
    name: 'siderolink',
    options: z.strictObject({}),
    setup(sidero) {
      for (const listener of addStreams(sidero, given))
        sidero.services.add({ name: listener.name, where: 'every', run: (signal, ready) => listener.serve(PLACE, signal, ready) });
    },
  });

function witness(told: ServerEvent[]): Plugin {
  const setup: Plugin['setup'] = ({ hooks }) => hooks.stream.tap('witness', (event) => void told.push(event));
  return definePlugin({ name: 'witness', options: z.strictObject({}), setup })();
}

/** The binding of the fixture's machine, at an address of loopback. */
export function aLinkedBinding(address = '127.0.0.2', name = FIXTURE_UUID): ServerBinding {
  return aBinding({ metadata: { name }, spec: { siderolink: { address: `${address}/64`, publicKey: `key of ${name}` } } });
}
