import { existsSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { ServerBindingKind } from '@sidero/core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { isTalosBuilt } from '../talos/program.ts';
import { LinkSite, told } from './link-site.ts';

const isPossible = isTalosBuilt && existsSync('/dev/net/tun') && existsSync('/usr/bin/wireguard-go');
const PATIENCE_MS = 60_000;
const LINES = 2000;

describe.skipIf(!isPossible)('a machine behind a wall that lets no UDP pass', () => {
  let site: LinkSite;
  const eventually = <T>(look: () => T | Promise<T>) => vi.waitFor(look, { timeout: PATIENCE_MS, interval: 100 });

  beforeAll(async () => {
    site = await LinkSite.start({ servers: 2 });
  });
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]();
  });

  /** Emits an event on a machine and waits until it is acknowledged. */
  async function proveConnected(uuid: string): Promise<void> {
    const before = told(site.talos, 'emitted', uuid).length;
    site.talos.emit({ uuid, message: 'TaskEvent', fields: { task: 'proof' } });
    await eventually(() => {
      const id = told(site.talos, 'emitted', uuid)[before]?.detail;
      expect(told(site.talos, 'acknowledged', uuid).map(({ detail }) => detail)).toContain(id ?? 'none yet');
    });
  }

  test('joins with WireGuard in a gRPC stream, beside one that uses UDP', async () => {
    const [tunnelled, plain] = site.uuids as [string, string];
    await site.boot(tunnelled, { kernelArgs: await site.kernelArgs(tunnelled, { query: '&grpc_tunnel=true' }) });
    await site.boot(plain);
    await eventually(() => expect(told(site.talos, 'linked')).toHaveLength(2));
    // Of the prefix that the library keeps for machines behind a stream.
    expect(told(site.talos, 'linked', tunnelled)[0]!.link!.endpoint).toMatch(/^\[fdae:41e4:649b:9304:/);
    site.talos.log({ count: LINES });
    await eventually(() => expect(told(site.talos, 'logged')).toHaveLength(2));
    await eventually(() => {
      for (const uuid of site.uuids) {
        const lines = site.observed().flatMap((one) => (one.type === 'log' && one.uuid === uuid ? [JSON.parse(one.line) as { msg: string }] : []));
        expect(lines.filter(({ msg }) => /^line \d+ of /.test(msg)).map(({ msg }) => Number(msg.split(' ')[1]))).toEqual(
          Array.from({ length: LINES }, (_, index) => index + 1),
        );
      }
    });
  });

  test('stays connected whoever opens streams in its name, and however many', async () => {
    const [tunnelled] = site.uuids as [string];
    const { endpoint } = told(site.talos, 'linked', tunnelled)[0]!.link!;
    const leave = new AbortController();
    const outcomes: unknown[] = [];
    const ends = Array.from({ length: 6 }, async () =>
      outcomes.push(await site.openStream(endpoint!, leave.signal).catch(({ code }: { code: status }) => status[code])),
    );
    // Of five streams the one goes in which WireGuard was silent longest: never that of the machine. Who left before its stream was opened would not count.
    await eventually(() => expect(outcomes).toEqual(['ABORTED', 'ABORTED', 'ABORTED']));
    await proveConnected(tunnelled);
    leave.abort();
    await Promise.all(ends);
    expect(outcomes.slice(3)).toEqual(['CANCELLED', 'CANCELLED', 'CANCELLED']);
    await proveConnected(tunnelled);
  });

  test('is back by itself when the management plane was killed', async () => {
    await site.kill();
    await site.restart();
    const [tunnelled] = site.uuids as [string];
    await proveConnected(tunnelled);
  });

  test('is back by itself when WireGuard was killed', async () => {
    process.kill(site.wireguardPid(), 'SIGKILL');
    const [tunnelled] = site.uuids as [string];
    await proveConnected(tunnelled);
  });

  test('has no place to be spoken to at after a restart, and its stream ends with its ServerBinding', async () => {
    const [tunnelled, plain] = site.uuids as [string, string];
    const endpoint = async (uuid: string) => (await site.binding(uuid))?.metadata.annotations?.['metal.sidero.dev/siderolink-endpoint'];
    await eventually(async () => expect(await endpoint(plain)).toMatch(/^10\.98\.0\.2:/));
    expect(await endpoint(tunnelled)).toBeUndefined();
    expect(await site.metrics()).toContain('sidero_siderolink_streams 1');
    await site.resources.remove(ServerBindingKind, { name: tunnelled });
    await eventually(async () => expect(await site.metrics()).toContain('sidero_siderolink_streams 0'));
  });
});
