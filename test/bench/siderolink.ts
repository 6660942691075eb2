import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LinkSite, SERVER, told } from '../real/siderolink/link-site.ts';
import { isTalosBuilt, SIDEROLINK_AGENT } from '../real/talos/program.ts';
import type { LinkReport } from '../real/talos/talos-machines.ts';
import type { Measurement } from './measure.ts';

const FEW = 60;
const MANY = 500;
/** So many machines boot in a second; a rack that gets its power back is slower. */
const BOOTS_PER_SECOND = 50;
const PEERS = 1000;
const LINES = 200_000;
const TALKERS = 10;
const EVENTS_PER_MACHINE = 50;
const PATIENCE_MS = 300_000;

/**
 * SideroLink with real WireGuard (wireguard-go on our side) and as many root-less machines with the published client, in network namespaces on
 * this host: all share its processors. Nothing where the stand-in for Talos, wireguard-go or the right to make namespaces is missing.
 */
export async function measureSideroLink(): Promise<readonly Measurement[]> {
  if (!isTalosBuilt || !existsSync('/usr/bin/wireguard-go') || !existsSync('/dev/net/tun')) return [];
  return [...(await fewMachines()), ...(await manyMachines()), ...(await manyPeers())];
}

async function fewMachines(): Promise<readonly Measurement[]> {
  await using site = await LinkSite.start({ servers: FEW, isCounting: true });
  const joined = await join(site);
  const talk = [await oneTalker(site), await manyTalkers(site), ...(await events(site))];
  return [...joins(joined, await joinPeer(site)), ...talk];
}

async function manyMachines(): Promise<readonly Measurement[]> {
  await using site = await LinkSite.start({ servers: MANY, isCounting: true });
  const joined = await join(site);
  const { manager, wireguard } = site.memoryMiB();
  const note = `${MANY} machines are connected; management plane with embedded API + wireguard-go`;
  const memory: Measurement = { what: `SideroLink, memory with ${MANY} machines (RSS)`, ours: manager + wireguard, unit: 'MiB', digits: 0, note };
  const back = await restart(site);
  return [...joins(joined, await joinPeer(site)), memory, back];
}

/** Boots all machines at a steady rate; what each has counted once it is in. `api` is somebody else's who is to let them in. */
async function join(site: LinkSite, api?: string): Promise<readonly LinkReport[]> {
  const known = told(site.talos, 'linked').length;
  const startedMs = performance.now();
  for (const [index, uuid] of site.uuids.entries()) {
    await delay(Math.max(0, startedMs + (index * 1000) / BOOTS_PER_SECOND - performance.now()));
    await site.boot(uuid, api === undefined ? {} : { kernelArgs: [`siderolink.api=${api}`] });
  }
  await until(() => told(site.talos, 'linked').length >= known + site.uuids.length);
  return told(site.talos, 'linked')
    .slice(known)
    .map(({ link }) => link!);
}

/** The same with the server that the library of the original brings; it keeps bindings in memory, and checks nothing. */
async function joinPeer(site: LinkSite): Promise<readonly LinkReport[] | undefined> {
  if (!existsSync(SIDEROLINK_AGENT)) return undefined;
  const flags = ['-sidero-link-force-userspace', '-sidero-link-wireguard-endpoint', `${SERVER}:51831`, '-sidero-link-api-endpoint', ':4831'];
  const elsewhere = ['-event-sink-endpoint', ':4832', '-log-receiver-endpoint', ':4833'];
  // Its interface has one name only, and sockets go by that, whatever network they are for.
  const apart = ['unshare', '--mount', 'sh', '-c', 'mkdir -p /run/wireguard && mount -t tmpfs none /run/wireguard && exec "$0" "$@"'] as const;
  await using agent = await site.server.start([...apart, SIDEROLINK_AGENT, ...flags, ...elsewhere], { name: 'siderolink-agent' });
  await agent.line(/wireguard device set up/, { timeoutMs: PATIENCE_MS });
  return await join(site, `${SERVER}:4831`);
}

function joins(ours: readonly LinkReport[], peers: readonly LinkReport[] | undefined): readonly Measurement[] {
  const what = `SideroLink, ${ours.length} machines:`;
  const note = `${BOOTS_PER_SECOND} boots/s; a lost first handshake comes again after 5 s, as with the original, which answers first`;
  const handshake = ({ handshakeMs }: LinkReport) => handshakeMs;
  const provision = ({ provisionMs }: LinkReport) => provisionMs;
  const at = (quantile: number, of: (report: LinkReport) => number) => ({
    ours: quantileOf(quantile, ours.map(of)),
    ...(peers && { peer: { name: 'siderolink-agent', value: quantileOf(quantile, peers.map(of)) } }),
    unit: 'ms',
    digits: 1,
  });
  return [
    { what: `${what} Provision answered → first handshake, p50`, ...at(0.5, handshake), note },
    { what: `${what} Provision answered → first handshake, p99`, ...at(0.99, handshake), note },
    { what: `${what} Provision, p99`, ...at(0.99, provision), note: 'ours: binding written and peer in place; the peer keeps all in memory' },
  ];
}

async function oneTalker(site: LinkSite): Promise<Measurement> {
  const [uuid] = site.uuids as [string];
  const note = `${LINES} lines of one machine, a write each as Talos does, to the stream hook; none lost by us`;
  return { what: 'kernel log through the tunnel, 1 machine', ours: await linesPerSecond(site, [uuid], LINES), unit: 'lines/s', digits: 0, note };
}

async function manyTalkers(site: LinkSite): Promise<Measurement> {
  const uuids = site.uuids.slice(0, TALKERS);
  const note = `${LINES} lines in all; none lost by us`;
  return {
    what: `kernel log through the tunnel, ${TALKERS} machines`,
    ours: await linesPerSecond(site, uuids, LINES / TALKERS),
    unit: 'lines/s',
    digits: 0,
    note,
  };
}

/** Lines that came out, a second. Talos gives up a line that it cannot write for 5 s; those are not waited for. */
async function linesPerSecond(site: LinkSite, uuids: readonly string[], count: number): Promise<number> {
  const before = await settledLogCount(site);
  const sent = await linesSent(site, uuids);
  const known = told(site.talos, 'logged').length;
  const startedMs = performance.now();
  for (const uuid of uuids) site.talos.log({ uuid, count });
  await until(() => told(site.talos, 'logged').length >= known + uuids.length);
  const lines = (await linesSent(site, uuids)) - sent;
  await untilAsync(async () => (await site.logCount()) >= before + lines);
  return lines / ((performance.now() - startedMs) / 1000);
}

/** How many lines the machines have handed over since they booted. */
async function linesSent(site: LinkSite, uuids: readonly string[]): Promise<number> {
  const known = told(site.talos, 'report').length;
  for (const uuid of uuids) site.talos.report(uuid);
  await until(() => told(site.talos, 'report').length >= known + uuids.length);
  return told(site.talos, 'report')
    .slice(known)
    .reduce((sum, { link }) => sum + link!.lines, 0);
}

/** Until what machines say by themselves has come. */
async function settledLogCount(site: LinkSite): Promise<number> {
  let [before, count] = [-1, await site.logCount()];
  while (count !== before) {
    await delay(500);
    [before, count] = [count, await site.logCount()];
  }
  return count;
}

/** Each event changes a condition; it is acknowledged once that is written. */
async function events(site: LinkSite): Promise<readonly Measurement[]> {
  const uuids = site.uuids.slice(0, TALKERS);
  const known = told(site.talos, 'acknowledged').length;
  const count = EVENTS_PER_MACHINE * uuids.length;
  for (let round = 0; round < EVENTS_PER_MACHINE; round++) {
    const message = round % 2 === 0 ? 'PhaseEvent' : 'SequenceEvent';
    const fields = round % 2 === 0 ? { phase: 'install', action: 'START' } : { sequence: 'boot', action: 'START' };
    for (const uuid of uuids) site.talos.emit({ uuid, message, fields });
    await delay(100);
  }
  await until(() => told(site.talos, 'acknowledged').length >= known + count);
  const took = told(site.talos, 'acknowledged')
    .slice(known)
    .map(({ sent }) => sent!.ms);
  const note = `${TALKERS} machines, ${TALKERS * 10} events/s, through the tunnel to the embedded API and back`;
  return [
    { what: 'event → condition written, p50', ours: quantileOf(0.5, took), unit: 'ms', digits: 1, note },
    { what: 'event → condition written, p99', ours: quantileOf(0.99, took), unit: 'ms', digits: 1, note },
  ];
}

/** kill -9 and start; the last machine's first handshake with the new process. */
async function restart(site: LinkSite): Promise<Measurement> {
  await untilAsync(async () => (await endpointsKnown(site)) === MANY);
  await site.kill();
  const startedAt = Date.now();
  await site.restart();
  const back = new Map<string, number>();
  await untilAsync(async () => {
    const before = told(site.talos, 'report').length;
    site.talos.report();
    await until(() => told(site.talos, 'report').length >= before + MANY);
    for (const { uuid, link } of told(site.talos, 'report').slice(before))
      if (link!.handshakeAt > startedAt) back.set(uuid, back.get(uuid) ?? link!.handshakeAt);
    return back.size === MANY;
  });
  const ours = (Math.max(...back.values()) - startedAt) / 1000;
  const note = 'kill -9 of the management plane; its own start is in it. WireGuard alone: up to 145 s';
  return { what: `SideroLink, ${MANY} machines: all back after a restart`, ours, unit: 's', digits: 1, note };
}

async function endpointsKnown(site: LinkSite): Promise<number> {
  const bindings = await Promise.all(site.uuids.map((uuid) => site.binding(uuid)));
  return bindings.filter((binding) => binding?.metadata.annotations?.['metal.sidero.dev/siderolink-endpoint']).length;
}

async function manyPeers(): Promise<readonly Measurement[]> {
  await using site = await LinkSite.start({ servers: PEERS, isCounting: true });
  const before = site.memoryMiB();
  for (let index = 0; index < PEERS; index += TALKERS)
    await Promise.all(site.uuids.slice(index, index + TALKERS).map((uuid) => provision(site, uuid)));
  await untilAsync(async () => (await site.peers()).length === PEERS);
  const after = site.memoryMiB();
  const [withThem, without] = [after, before].map(({ manager, wireguard }) => manager + wireguard) as [number, number];
  const note = `what ${PEERS} peers add to management plane and wireguard-go, ${without.toFixed(0)} MiB before; none of them is connected`;
  return [{ what: `SideroLink, memory of ${PEERS} peers (RSS)`, ours: withThem - without, unit: 'MiB', digits: 0, note }];
}

/** As Talos does, which asks again: a hanging wireguard-go is replaced. */
function provision(site: LinkSite, uuid: string): Promise<void> {
  return untilAsync(() =>
    site.provision(uuid).then(
      () => true,
      () => false,
    ),
  );
}

function quantileOf(quantile: number, values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * quantile))]!;
}

function until(isSo: () => boolean): Promise<void> {
  return untilAsync(async () => isSo());
}

async function untilAsync(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`SideroLink did not get there within ${PATIENCE_MS / 1000} s`);
    await delay(50);
  }
}
