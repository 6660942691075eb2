import { aBinding, aServer, inventory, testSidero } from '@sidero/testing';
import { bareServer, loadWorker } from './http-peer.ts';
import type { LoadResult } from './load.ts';
import type { Measurement } from './measure.ts';

const SERVERS = 500;
const CONNECTIONS = 50;
const DURATION_MS = 4000;

/** `/ipxe` for installed servers, which boot from disk: nothing is handed out, so no limit holds it back. */
export async function measureIpxe(): Promise<readonly Measurement[]> {
  const uuids = Array.from({ length: SERVERS }, (_, index) => inventory('bench', index).system.uuid);
  const conditions = [{ type: 'PXEBooted', status: 'True', lastTransitionTime: '2026-11-22T00:00:00Z' }];
  const objects = uuids.flatMap((uuid) => [
    aServer({ metadata: { name: uuid }, spec: { hardware: { system: { uuid } } }, status: { inUse: true, conditions } }),
    aBinding({ metadata: { name: uuid } }),
  ]);
  await using sidero = await testSidero({ objects });
  const paths = uuids.map((uuid) => `/ipxe?uuid=${uuid}&mac=52-54-00-12-34-56&domain=&hostname=&serial=SN&arch=x86_64`);
  const body = await (await fetch(`${sidero.url}${paths[0]}`, { headers: { 'user-agent': 'iPXE/1.21.1' } })).text();
  const peer = await bareServer(body);
  const order = { paths, connections: CONNECTIONS, durationMs: DURATION_MS };
  await loadWorker({ ...order, port: sidero.ports.http, durationMs: 1000 });
  const ours = await loadWorker({ ...order, port: sidero.ports.http });
  const bare = await loadWorker({ ...order, port: peer.port });
  await peer.close();
  const rate = ({ requests, seconds }: LoadResult) => requests / seconds;
  const how = `${SERVERS} installed servers, ${CONNECTIONS} connections, ${DURATION_MS / 1000} s`;
  const name = 'bare node:http, same bytes';
  return [
    { what: '`/ipxe` requests', ours: rate(ours), unit: '/s', digits: 0, peer: { name, value: rate(bare) }, note: how },
    { what: '`/ipxe` p99', ours: ours.p99Ms, unit: 'ms', digits: 2, peer: { name, value: bare.p99Ms }, note: how },
  ];
}
