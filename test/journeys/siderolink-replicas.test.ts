import { hostname } from 'node:os';
import { PassThrough } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { messageOf, ServerBindingKind } from '@sidero/core';
import type { RunningSidero } from '@sidero/core/start';
import { FIXTURE_UUID } from '@sidero/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { printLines } from '../../plugins/siderolink/src/commands/kept-commands.ts';
import { aKey, provisionAt, refusal } from './siderolink-provision/plane.ts';
import { type Replicas, replicas } from './siderolink-provision/replicas.ts';
import { logConnection } from './siderolink-streams/talos-node.ts';

let plane: Replicas;
beforeEach(async () => void (plane = await replicas()));
afterEach(() => plane[Symbol.asyncDispose]());

describe('several replicas', () => {
  test('all let machines in, and answer once the one that leads has them in place', async () => {
    const all = [await plane.start(), await plane.start()];
    for (const { port } of all) {
      const nodePublicKey = aKey();
      const { nodeAddressPrefix } = await provisionAt(port, { nodePublicKey });
      const binding = await plane.api.resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true });
      expect(binding?.spec?.siderolink).toEqual({ address: nodeAddressPrefix, publicKey: nodePublicKey });
      expect(binding?.metadata.annotations).not.toHaveProperty('metal.sidero.dev/siderolink-pending');
    }
  });

  test('do not say that a machine is in place while nobody let it in', async () => {
    // This one leads, and has no tunnel.
    const leader = await plane.start([]);
    const follower = await plane.start();
    await expect(provisionAt(follower.port)).rejects.toEqual(refusal(status.UNAVAILABLE, /no replica let it in/));
    await leader.close();
    // Now it leads itself.
    await expect.poll(() => provisionAt(follower.port).then(() => 'in place', messageOf), { timeout: 20_000 }).toBe('in place');
  }, 40_000);

  /** What `sidero logs SERVER --from` the replica prints. */
  async function logsFrom({ diagnosticsPort }: RunningSidero): Promise<string> {
    const output = new PassThrough();
    let text = '';
    output.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const kind = { name: 'logs', what: 'kernel log' } as const;
    const token = plane.api.kubeConfig.getCurrentUser()!.token;
    await printLines({ kind, server: FIXTURE_UUID, dataDir: '/nowhere', token, output }, { from: `https://127.0.0.1:${diagnosticsPort}` });
    return text;
  }

  async function says(address: string, msg: string): Promise<void> {
    (await logConnection(address, plane.logPort)).end(`{"msg":"${msg}"}\n`);
  }

  test('the one that leads next takes the machines over, without their doing', async () => {
    const [first, next] = [await plane.start(), await plane.start()];
    const { nodeAddressPrefix } = await provisionAt(first.port);
    const [address = ''] = nodeAddressPrefix.split('/');
    await says(address, 'to the first');
    await expect.poll(() => logsFrom(first)).toMatch(new RegExp(`"msg":"to the first",.*"server_uuid":"${FIXTURE_UUID}"`));
    await first.close();
    await expect
      .poll(async () => (await says(address, 'to the next'), logsFrom(next).catch(messageOf)), { timeout: 30_000 })
      .toMatch(new RegExp(`"msg":"to the next",.*"server_uuid":"${FIXTURE_UUID}"`));
  }, 60_000);

  test('one that does not lead says who does, and how to get there', async () => {
    const [, follower] = [await plane.start(), await plane.start()];
    await expect
      .poll(() => logsFrom(follower).catch((thrown: unknown) => thrown))
      .toMatchObject({
        code: 'SIDERO_LINES_ELSEWHERE',
        message: expect.stringMatching(
          new RegExp(`^The kernel log of server ${FIXTURE_UUID} does not come to this replica, which does not lead; ${hostname()} does now`),
        ) as string,
        next: expect.stringMatching(new RegExp(`^ask the one that leads: kubectl -n default port-forward pod/${hostname()} 8443 `)) as string,
      });
  });
});
