import { status } from '@grpc/grpc-js';
import { SecretKind } from '@sidero/core';
import { siderolink } from '@sidero/plugin-siderolink';
import { aBinding, aBootRequest, aServer, FIXTURE_UUID, freePorts } from '@sidero/testing';
import { describe, expect, test } from 'vitest';
import { ask, aBoundMachine, BOOTSTRAP, CONFIG, configPathOf } from './configdata/bound-machine.ts';
import { aKey, boundServer, linkPlane, refusal, streamAt, theEnvironment } from './siderolink-provision/plane.ts';

const TOKEN = 'metal.sidero.dev/siderolink-token';
const MACHINE = 'metal.sidero.dev/siderolink-machine';
/** A binding whose machine joined before there were tokens, as the original left it. */
const joinedBefore = () => aBinding({ spec: { siderolink: { address: '127.200.1.1/32', publicKey: aKey() } } });

describe('joining', () => {
  test('a machine that is bound joins, and its ServerBinding says where it is in the form of the original', async () => {
    await using sidero = await linkPlane();
    const nodePublicKey = aKey();
    const answer = await sidero.provision({ nodePublicKey, joinToken: await sidero.token() });
    expect(answer).toMatchObject({ serverEndpoint: ['127.0.0.1:51821'], serverAddress: '127.0.0.1', grpcPeerAddrPort: '' });
    expect(answer.nodeAddressPrefix).toMatch(/^127\.\d+\.\d+\.\d+\/32$/);
    const { spec } = await sidero.binding();
    expect(spec?.siderolink).toEqual({ address: answer.nodeAddressPrefix, publicKey: nodePublicKey });
  });

  test('a machine that comes again with another key keeps its address', async () => {
    await using sidero = await linkPlane();
    const joinToken = await sidero.token();
    const first = await sidero.provision({ joinToken });
    const nodePublicKey = aKey();
    expect((await sidero.provision({ joinToken, nodePublicKey })).nodeAddressPrefix).toBe(first.nodeAddressPrefix);
    expect((await sidero.binding()).spec?.siderolink?.publicKey).toBe(nodePublicKey);
    expect(await sidero.told()).toEqual([]);
    expect(await sidero.metrics()).toContain('sidero_siderolink_key_changes_total{proof="proven"} 1');
  });

  test('a machine that reboots twenty times at once keeps its place', async () => {
    await using sidero = await linkPlane();
    const joinToken = await sidero.token();
    const addresses = new Set<string>();
    for (let boot = 0; boot < 20; boot++) addresses.add((await sidero.provision({ joinToken, nodeUniqueToken: 'disk' })).nodeAddressPrefix);
    expect(addresses.size).toBe(1);
  });

  test.each(['fdae:2859:5bb1:7a03::1/64', '127.0.0.1/32', '127.200.1.1/24', 'bogus', ''])(
    'the address %j, which is none of this installation, is replaced',
    async (address) => {
      const binding = aBinding({ spec: { siderolink: { address, publicKey: aKey() } } });
      await using sidero = await linkPlane({ objects: [boundServer(), theEnvironment(), binding] });
      const { nodeAddressPrefix } = await sidero.provision();
      expect(nodeAddressPrefix).toMatch(/^127\.(12[89]|1[3-9]\d|2\d\d)\.\d+\.\d+\/32$/);
      expect(nodeAddressPrefix).not.toBe(address);
    },
  );
});

describe('what is refused', () => {
  test('a machine that is not bound', async () => {
    await using sidero = await linkPlane({ objects: [aServer()] });
    await expect(sidero.provision()).rejects.toEqual(refusal(status.NOT_FOUND, new RegExp(`^server binding "${FIXTURE_UUID}" not found$`)));
  });

  test.each([
    ['AAAA', 'error parsing Wireguard key: wgtypes: incorrect key size: 3'],
    ['no key', 'error parsing Wireguard key: wgtypes: failed to parse base64-encoded key: illegal base64 data at input byte 2'],
  ])('the key %j, and nothing is saved', async (nodePublicKey, details) => {
    await using sidero = await linkPlane();
    await expect(sidero.provision({ nodePublicKey })).rejects.toEqual(refusal(status.INVALID_ARGUMENT, new RegExp(`^${details}$`)));
    expect((await sidero.binding()).spec?.siderolink).toBeUndefined();
  });

  test('the key of the server', async () => {
    await using sidero = await linkPlane();
    const { serverPublicKey } = await sidero.provision();
    await expect(sidero.provision({ nodePublicKey: serverPublicKey })).rejects.toEqual(refusal(status.INVALID_ARGUMENT, /key of the server/));
  });

  test.each(['', 'bogus', '../../secrets', `${FIXTURE_UUID}x`])('the UUID %j', async (nodeUuid) => {
    await using sidero = await linkPlane();
    await expect(sidero.provision({ nodeUuid })).rejects.toEqual(refusal(status.INVALID_ARGUMENT, /node_uuid/));
  });

  test('a token that is not its own, with Events on Server and ServerBinding, and the key stays', async () => {
    await using sidero = await linkPlane();
    const before = await sidero.provision({ joinToken: await sidero.token() });
    const { spec } = await sidero.binding();
    await expect(sidero.provision({ joinToken: 'A'.repeat(43) })).rejects.toEqual(refusal(status.PERMISSION_DENIED, /join token/));
    expect((await sidero.binding()).spec).toEqual(spec);
    expect(before.nodeAddressPrefix).toBe(spec?.siderolink?.address);
    const text = /asked to join SideroLink as this server and was refused: its join token is not the one/;
    await expect
      .poll(sidero.told)
      .toEqual(expect.arrayContaining(['Server', 'ServerBinding'].map((kind) => expect.stringMatching(new RegExp(`^${kind}: .*${text.source}`)))));
  });

  test('a machine without a token, once one was shown', async () => {
    await using sidero = await linkPlane();
    await sidero.provision({ joinToken: await sidero.token() });
    await expect(sidero.provision()).rejects.toEqual(refusal(status.PERMISSION_DENIED, /showed no join token/));
  });

  test('a machine without a token, once a network boot of ours carried one', async () => {
    await using sidero = await linkPlane();
    await sidero.lifecycle.boot(aBootRequest());
    expect((await sidero.binding()).metadata.annotations?.[TOKEN]).toBe('given');
    await expect(sidero.provision()).rejects.toEqual(refusal(status.PERMISSION_DENIED, /showed no join token/));
    await sidero.provision({ joinToken: await sidero.token() });
  });

  test("a key that is another machine's", async () => {
    const other = '6b121f82-24a8-4611-9d23-fa1a5ba564f0';
    const publicKey = aKey();
    const binding = aBinding({ metadata: { name: other }, spec: { siderolink: { address: '127.200.1.2/32', publicKey } } });
    await using sidero = await linkPlane({ objects: [boundServer(), theEnvironment(), aBinding(), binding] });
    await expect(sidero.provision({ joinToken: await sidero.token(), nodePublicKey: publicKey })).rejects.toEqual(
      refusal(status.PERMISSION_DENIED, new RegExp(`key is that of server ${other}`)),
    );
  });

  test('what a machine said at an earlier boot, told again by whoever heard it, and the machine stays connected', async () => {
    await using sidero = await linkPlane();
    const [joinToken, first, second] = [await sidero.token(), aKey(), aKey()];
    const heard = { joinToken, nodePublicKey: first, nodeUniqueToken: 'disk' };
    await sidero.provision(heard);
    // Again while it is so, as Talos does when its configuration changes.
    await sidero.provision(heard);
    await sidero.provision({ ...heard, nodePublicKey: second });
    await expect(sidero.provision(heard)).rejects.toEqual(refusal(status.PERMISSION_DENIED, /key is of an earlier boot/));
    expect((await sidero.binding()).spec?.siderolink?.publicKey).toBe(second);
    await expect.poll(sidero.told).toContainEqual(expect.stringMatching(/^Server: .* was refused: its WireGuard key is of an earlier boot/));
    await sidero.provision({ ...heard, nodePublicKey: second });
  });

  test('more than a machine asks for', async () => {
    await using sidero = await linkPlane();
    const joinToken = await sidero.token();
    const asked = await Promise.allSettled(Array.from({ length: 40 }, () => sidero.provision({ joinToken })));
    const refused = asked.filter((one) => one.status === 'rejected').map(({ reason }) => (reason as { code: status }).code);
    // Twenty at once, and one a second: how many get through is for this host to say.
    expect(refused).toContain(status.RESOURCE_EXHAUSTED);
  });
});

test('whoever has no token uses up nothing of the machine that has it', async () => {
  await using sidero = await linkPlane();
  const joinToken = await sidero.token();
  const codes = await Promise.all(
    Array.from({ length: 40 }, () => sidero.provision({ joinToken: 'A'.repeat(43) }).catch((refused: { code: status }) => refused.code)),
  );
  expect(new Set(codes)).toEqual(new Set([status.PERMISSION_DENIED, status.RESOURCE_EXHAUSTED]));
  await sidero.provision({ joinToken });
});

describe('a machine whose ServerBinding is from before tokens', () => {
  test('joins without one, until it first shows one', async () => {
    await using sidero = await linkPlane({ objects: [boundServer(), theEnvironment(), joinedBefore()] });
    // A network boot tells it the token; what is on its disk may still come first.
    await sidero.lifecycle.boot(aBootRequest());
    expect((await sidero.provision()).nodeAddressPrefix).toBe('127.200.1.1/32');
    expect(await sidero.metrics()).toContain('sidero_siderolink_joins_total{proof="open"} 1');
    await expect.poll(sidero.told).toEqual(expect.arrayContaining([expect.stringMatching(/^Server: .* with a new key and without proof/)]));
    await sidero.provision({ joinToken: await sidero.token() });
    expect((await sidero.binding()).metadata.annotations?.[TOKEN]).toBe('shown');
    await expect(sidero.provision()).rejects.toEqual(refusal(status.PERMISSION_DENIED));
  });

  test('is counted', async () => {
    await using sidero = await linkPlane({ objects: [boundServer(), theEnvironment(), joinedBefore()] });
    await expect.poll(sidero.metrics).toContain('sidero_siderolink_bindings{token="none"} 1');
    await sidero.provision({ joinToken: await sidero.token() });
    await expect.poll(sidero.metrics).toContain('sidero_siderolink_bindings{token="shown"} 1');
  });
});

describe('what a machine keeps on its disk', () => {
  test('tells it from another machine, which is refused', async () => {
    await using sidero = await linkPlane();
    const joinToken = await sidero.token();
    await sidero.provision({ joinToken, nodeUniqueToken: 'disk of the first' });
    expect((await sidero.binding()).metadata.annotations?.[MACHINE]).toMatch(/^[0-9a-f]{64}$/);
    await sidero.provision({ joinToken, nodeUniqueToken: 'disk of the first' });
    await expect(sidero.provision({ joinToken, nodeUniqueToken: 'another' })).rejects.toEqual(refusal(status.PERMISSION_DENIED, /another machine/));
    await expect(sidero.provision({ joinToken })).rejects.toEqual(refusal(status.PERMISSION_DENIED, /shows none/));
  });

  test('counts no more after a network boot of ours', async () => {
    await using sidero = await linkPlane();
    const joinToken = await sidero.token();
    await sidero.provision({ joinToken, nodeUniqueToken: 'old disk' });
    await sidero.lifecycle.boot({ ...aBootRequest(), peek: true });
    await expect(sidero.provision({ joinToken, nodeUniqueToken: 'new disk' })).rejects.toEqual(refusal(status.PERMISSION_DENIED));
    await sidero.lifecycle.boot(aBootRequest());
    await sidero.provision({ joinToken, nodeUniqueToken: 'new disk' });
  });
});

describe('boot authentication that is not required', () => {
  test.each(['report', 'off'] as const)('lets machines without proof in, and counts them (%s)', async (bootAuth) => {
    await using sidero = await linkPlane({ site: { bootAuth } });
    await sidero.provision({ joinToken: await sidero.token(), nodeUniqueToken: 'disk' });
    await sidero.provision({ joinToken: 'A'.repeat(43) });
    await sidero.provision({ nodeUniqueToken: 'another' });
    expect(await sidero.metrics()).toContain('sidero_siderolink_joins_total{proof="unproven"} 2');
  });
});

describe('siderolink.api= of the user in an Environment', () => {
  test('stays as it is, and its servers join without a token', async () => {
    const objects = [boundServer(), theEnvironment(['siderolink.api=172.25.0.2:8081']), aBinding()];
    await using sidero = await linkPlane({ objects });
    const plan = await sidero.lifecycle.boot(aBootRequest());
    expect('args' in plan && plan.args.filter((arg) => arg.startsWith('siderolink.api='))).toEqual(['siderolink.api=172.25.0.2:8081']);
    await sidero.provision();
    expect(await sidero.metrics()).toContain('sidero_siderolink_joins_total{proof="own-argument"} 1');
  });
});

describe('what a bound machine is told', () => {
  test('at a network boot: where to join, with its token, where its kernel log and its events go', async () => {
    const [logPort = 0, eventPort = 0] = await freePorts(2);
    await using sidero = await linkPlane({ siderolink: { logPort, eventPort } });
    const plan = await sidero.lifecycle.boot(aBootRequest());
    expect(plan).toMatchObject({
      args: [
        `siderolink.api=127.0.0.1:${sidero.ports.http}?jointoken=${await sidero.token()}`,
        `talos.logging.kernel=tcp://127.0.0.1:${logPort}`,
        `talos.events.sink=127.0.0.1:${eventPort}`,
      ],
    });
  });

  test('nothing where the user said otherwise', async () => {
    const args = ['talos.logging.kernel=udp://10.0.0.9:514', 'talos.events.sink=10.0.0.9:1', 'siderolink.api=10.0.0.9'];
    await using sidero = await linkPlane({ objects: [boundServer(), theEnvironment(args), aBinding()] });
    expect(await sidero.lifecycle.boot(aBootRequest())).toMatchObject({ args });
  });

  test('in its configuration: the same, in documents', async () => {
    const [logPort = 0, eventPort = 0] = await freePorts(2);
    await using sidero = await linkPlane({ siderolink: { logPort, eventPort } });
    const { documents } = await sidero.lifecycle.bind(await sidero.binding());
    expect(documents).toEqual([
      `apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: grpc://127.0.0.1:${sidero.ports.http}?jointoken=${await sidero.token()}\n`,
      `apiVersion: v1alpha1\nkind: EventSinkConfig\nendpoint: '127.0.0.1:${eventPort}'\n`,
      `apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: remote-log\nurl: tcp://127.0.0.1:${logPort}\n`,
    ]);
  });

  test('in the configuration that it fetches: behind all patches, over a SideroLinkConfig of the bootstrap provider', async () => {
    const link = 'apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: https://omni.example?jointoken=theirs\n';
    const [logPort = 0, eventPort = 0] = await freePorts(2);
    const plugins = [siderolink({ tunnel: 'loopback', logPort, eventPort })];
    await using sidero = await aBoundMachine({ plugins });
    await sidero.resources.change(SecretKind, BOOTSTRAP, (draft) => {
      draft.data = { value: Buffer.from(`${CONFIG}---\n${link}`).toString('base64') };
    });
    const { body, status: code } = await ask(`${sidero.url}${await configPathOf(sidero)}`);
    expect(code).toBe(200);
    expect(body).toMatch(new RegExp(`apiUrl: grpc://127\\.0\\.0\\.1:${sidero.ports.http}\\?jointoken=[\\w-]{43}\n`));
    expect(body).toContain('kind: EventSinkConfig');
    expect(body).toContain(`url: tcp://127.0.0.1:${logPort}`);
    expect(body.split('kind: SideroLinkConfig')).toHaveLength(2);
  });

  test('to send its packets in a stream, where that is wanted', async () => {
    await using sidero = await linkPlane({ siderolink: { transport: 'grpc' } });
    const join = `127.0.0.1:${sidero.ports.http}?jointoken=${await sidero.token()}&grpc_tunnel=true`;
    expect(await sidero.lifecycle.boot(aBootRequest())).toMatchObject({ args: expect.arrayContaining([`siderolink.api=${join}`]) as string[] });
    expect((await sidero.lifecycle.bind(await sidero.binding())).documents[0]).toContain(`apiUrl: grpc://${join}\n`);
  });

  test('no documents where its Talos cannot read them, or the option says never', async () => {
    await using sidero = await linkPlane();
    await sidero.provision({ joinToken: await sidero.token(), talosVersion: 'v1.4.8' });
    expect((await sidero.lifecycle.bind(await sidero.binding())).documents).toEqual([]);
    await sidero.provision({ joinToken: await sidero.token(), talosVersion: 'v1.5.0' });
    expect((await sidero.lifecycle.bind(await sidero.binding())).documents).toHaveLength(3);
    await using never = await linkPlane({ siderolink: { documents: 'never' } });
    expect((await never.lifecycle.bind(await never.binding())).documents).toEqual([]);
  });
});

describe("a stream of WireGuard's packets", () => {
  test.each([
    [undefined, status.INVALID_ARGUMENT],
    ['bogus', status.PERMISSION_DENIED],
    ['[fdae:41e4:649b:9304::5]:50888', status.PERMISSION_DENIED],
  ])('of nobody that is known (%s) is refused', async (from, code) => {
    await using sidero = await linkPlane();
    await sidero.provision({ joinToken: await sidero.token() });
    await expect(streamAt(sidero.ports.http, from)).rejects.toEqual(refusal(code));
  });
});
