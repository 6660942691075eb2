import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startTalosMachines, type TalosEvent } from '../talos/talos-machines.ts';
import { isTalosBuilt } from '../talos/program.ts';
import { LinkSite, machineOf, metalMachineOf, told } from './link-site.ts';

const isPossible = isTalosBuilt && existsSync('/dev/net/tun') && existsSync('/usr/bin/wireguard-go');
/** Hosts are busy. */
const PATIENCE_MS = 60_000;
const REBOOTS = 50;

describe.skipIf(!isPossible)('machines with the published client of SideroLink', () => {
  let site: LinkSite;
  const eventually = <T>(look: () => T | Promise<T>, timeout = PATIENCE_MS) => vi.waitFor(look, { timeout, interval: 100 });
  const linked = (uuid: string, times = 1) => eventually(() => expect(told(site.talos, 'linked', uuid).length).toBeGreaterThanOrEqual(times));

  /** Has every event of a machine acknowledged. */
  async function untilSent(uuid: string): Promise<void> {
    await eventually(() => {
      site.talos.report(uuid);
      const report = told(site.talos, 'report', uuid).at(-1)?.link;
      expect(report?.acknowledged).toBe(report?.events ?? -1);
    });
  }

  /** Emits an event on a machine and waits until it is acknowledged; that machine is connected. */
  async function proveConnected(uuid: string): Promise<void> {
    const before = told(site.talos, 'emitted', uuid).length;
    site.talos.emit({ uuid, message: 'TaskEvent', fields: { task: 'proof' } });
    await eventually(() => {
      const id = told(site.talos, 'emitted', uuid)[before]?.detail;
      expect(told(site.talos, 'acknowledged', uuid).map(({ detail }) => detail)).toContain(id ?? 'none yet');
    });
  }

  beforeAll(async () => {
    site = await LinkSite.start({ servers: 5 });
  });
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]();
  });

  test('the first handshake follows at once, and logs and events carry the names of cluster and machine', async () => {
    const uuids = site.uuids.slice(0, 4);
    await Promise.all(uuids.map((uuid, index) => site.boot(uuid, { oldClient: index === 3, address: `192.0.2.${index + 1}` })));
    for (const uuid of uuids) await linked(uuid);
    // Without the peer in place WireGuard tries again after 5 s.
    for (const { link } of told(site.talos, 'linked')) expect(link!.handshakeMs).toBeLessThan(4500);
    site.talos.log({ count: 5 });
    for (const uuid of uuids) {
      await eventually(() => expect(told(site.talos, 'logged', uuid)).toHaveLength(1));
      await untilSent(uuid);
      const names = { server_uuid: uuid, namespace: 'default', cluster: 'rack-1', metal_machine: metalMachineOf(uuid), machine: machineOf(uuid) };
      await eventually(() => {
        const logs = site.observed().filter((one) => one.type === 'log' && one.uuid === uuid);
        const last = logs.map(({ line }) => JSON.parse(line) as Record<string, unknown>).find(({ msg }) => msg === 'line 5 of 5\n');
        expect(last).toMatchObject({ ...names, facility: 'user', priority: 'warning', 'talos-level': 'warn' });
      });
      const events = site.observed().filter((one) => one.type === 'talos' && one.uuid === uuid);
      expect(events.length).toBeGreaterThan(10);
      for (const { line } of events) expect(JSON.parse(line)).toMatchObject(names);
    }
  });

  test('what machines tell of themselves is on their ServerBindings', async () => {
    const [uuid] = site.uuids as [string];
    site.talos.emit({ uuid, message: 'SequenceEvent', fields: { sequence: 'boot', action: 'START' } });
    await eventually(async () => {
      const binding = await site.binding(uuid);
      expect(binding!.spec).toMatchObject({ hostname: 'talos-4c4c4544', addresses: ['192.0.2.1'] });
      expect(binding!.status?.conditions?.filter(({ status }) => status === 'True').map(({ type }) => type)).toEqual(
        expect.arrayContaining(['TalosInstalled', 'TalosConfigLoaded', 'TalosConfigValidated']),
      );
    });
  });

  test('a machine of the same UUID with a wrong token, or that is another one, is refused, and the real one stays connected', async () => {
    const uuid = site.uuids[4]!;
    await site.boot(uuid, { uniqueToken: 'the-real-one' });
    await linked(uuid);
    await using forger = startTalosMachines(undefined, site.nodes);
    const refused = async (count: number): Promise<TalosEvent> => {
      await eventually(() => expect(told(forger, 'unlinked').length).toBeGreaterThanOrEqual(count));
      return told(forger, 'unlinked').at(-1)!;
    };
    await site.boot(uuid, { kernelArgs: await site.kernelArgs(uuid, { token: await site.token(site.uuids[0]!) }) }, forger);
    expect((await refused(1)).detail).toContain('join token');
    forger.off(uuid);
    const count = told(forger, 'unlinked').length;
    await site.boot(uuid, { uniqueToken: 'another-one' }, forger);
    expect((await refused(count + 1)).detail).toContain('PermissionDenied');
    forger.off(uuid);
    expect(told(forger, 'provisioned')).toEqual([]);
    await proveConnected(uuid);
  });

  test('a killed wireguard-go is back with all its peers', async () => {
    // Whoever came a moment ago would have to speak first.
    await eventually(async () => expect((await endpoints()).every(Boolean)).toBe(true));
    const killedAt = Date.now();
    const pid = site.wireguardPid();
    process.kill(pid, 'SIGKILL');
    await eventually(() => {
      site.talos.report();
      const last = new Map(told(site.talos, 'report').map(({ uuid, link }) => [uuid, link!.handshakeAt]));
      expect([...last.values()].filter((at) => at > killedAt)).toHaveLength(5);
    });
    expect(site.wireguardPid()).not.toBe(pid);
    expect(await site.peers()).toHaveLength(5);
    const took = Math.max(...[...told(site.talos, 'report')].map(({ link }) => link!.handshakeAt)) - killedAt;
    // 2 s on an idle host. WireGuard by itself would take 15 s and more.
    expect(took).toBeLessThan(10_000);
    for (const uuid of site.uuids) await proveConnected(uuid);
    expect(await site.metrics()).toMatch(/sidero_siderolink_restarts_total\{[^}]*\} 1/);
  });

  test('no acknowledged event is lost when the management plane is killed, and all machines come back', async () => {
    const [uuid] = site.uuids as [string];
    const hostnames = Array.from({ length: 200 }, (_, index) => `host-${index}`);
    for (const hostname of hostnames.slice(0, 100))
      site.talos.emit({ uuid, message: 'AddressEvent', fields: { hostname, addresses: ['192.0.2.1'] } });
    await eventually(() => expect(acknowledgedHosts(uuid)).toBeGreaterThan(5));
    await site.kill();
    const acknowledged = acknowledgedHosts(uuid);
    for (const hostname of hostnames.slice(100)) site.talos.emit({ uuid, message: 'AddressEvent', fields: { hostname, addresses: ['192.0.2.1'] } });
    const killedAt = Date.now();
    await site.restart();
    const { hostname } = (await site.binding(uuid))!.spec!;
    expect(Number(hostname!.split('-')[1])).toBeGreaterThanOrEqual(acknowledged - 1);
    await eventually(() => expect(acknowledgedHosts(uuid)).toBe(200));
    expect((await site.binding(uuid))!.spec!.hostname).toBe('host-199');
    const seen = new Set(site.observed().flatMap((one) => (one.type === 'talos' && one.uuid === uuid ? [one.id] : [])));
    // A tap that answers at once has been told of every event before it was acknowledged.
    expect(told(site.talos, 'acknowledged', uuid).filter(({ detail }) => !seen.has(detail!))).toEqual([]);
    for (const { detail } of told(site.talos, 'acknowledged', uuid)) expect(site.keptEvents(uuid)).toContain(`"id":"${detail}"`);
    for (const one of site.uuids) await proveConnected(one);
    expect(Date.now() - killedAt).toBeLessThan(PATIENCE_MS);
    expect(await site.peers()).toHaveLength(5);
  });

  /** How many of the ordered AddressEvents have been acknowledged. */
  function acknowledgedHosts(uuid: string): number {
    const ordered = new Set(told(site.talos, 'emitted', uuid).map(({ detail }) => detail));
    return told(site.talos, 'acknowledged', uuid).filter(({ detail, sent }) => sent!.message === 'AddressEvent' && ordered.has(detail)).length;
  }

  test(`a machine that boots ${REBOOTS} times keeps its address, has a new key each time, and leaves no peer behind`, async () => {
    const uuid = site.uuids[1]!;
    const before = told(site.talos, 'linked', uuid).length;
    for (let count = 1; count <= REBOOTS; count++) {
      await site.boot(uuid);
      await linked(uuid, before + count);
    }
    const links = told(site.talos, 'linked', uuid).map(({ link }) => link!);
    expect(new Set(links.map(({ address }) => address)).size).toBe(1);
    expect(new Set(links.map(({ publicKey }) => publicKey)).size).toBe(links.length);
    await eventually(async () => expect((await site.peers()).toSorted()).toEqual(await boundKeys()));
    expect(await site.peers()).toContain(links.at(-1)!.publicKey);
    await proveConnected(uuid);
  });

  /** Where the machines were seen, as far as it is written down. */
  async function endpoints(): Promise<readonly (string | undefined)[]> {
    const bindings = await Promise.all(site.uuids.map((uuid) => site.binding(uuid)));
    return bindings.map((binding) => binding!.metadata.annotations?.['metal.sidero.dev/siderolink-endpoint']);
  }

  async function boundKeys(): Promise<readonly string[]> {
    const bindings = await Promise.all(site.uuids.map((uuid) => site.binding(uuid)));
    return bindings.map((binding) => binding!.spec!.siderolink!.publicKey).toSorted();
  }
});
