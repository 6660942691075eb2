import type { Socket } from 'node:net';
import { createMetrics, createResourceClient, definePlugin, type ResourceClient, type ServerBinding, ServerBindingKind } from '@sidero/core';
import { PhaseEventSchema, SequenceEvent_Action, SequenceEventSchema } from '@sidero/plugin-siderolink/protocol';
import { aServer, FIXTURE_UUID, freePorts, silentLogger, type TestSidero, testSidero } from '@sidero/testing';
import { afterEach, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { writeBinding } from '../../plugins/siderolink/src/events/binding-writer.ts';
import { eventSink } from '../../plugins/siderolink/src/events/event-sink.ts';
import type { LinkListener, LinkPlace } from '../../plugins/siderolink/src/link.ts';
import { kernelLogs } from '../../plugins/siderolink/src/logs/kernel-logs.ts';
import { LiveDirectory } from '../../plugins/siderolink/src/machines/live-directory.ts';
import { linkPlane } from './siderolink-provision/plane.ts';
import { aLinkedBinding } from './siderolink-streams/streams-plane.ts';
import { eventBytes, logConnection, SinkClient } from './siderolink-streams/talos-node.ts';

// The receivers by themselves, with other limits than those of a plane.

const PLACE: LinkPlace = { host: '127.0.0.1', isMachine: (address) => address !== '127.0.0.1' };
const until = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 30_000, interval: 20 });
const UNAVAILABLE = 14;

const stops: { stop: AbortController; done: Promise<void> }[] = [];
afterEach(async () => {
  for (const { stop, done } of stops.splice(0)) {
    stop.abort();
    await done;
  }
});

async function serve(listener: LinkListener): Promise<void> {
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  stops.push({ stop, done: listener.serve(PLACE, stop.signal, ready.resolve) });
  await ready.promise;
}

async function logs(resources: ResourceClient, limits: { recordMs?: number; idleMs?: number } = {}) {
  const [port = 0] = await freePorts(1);
  const metrics = createMetrics();
  const lines: string[] = [];
  const take = ({ line }: { line: string }) => void lines.push(line);
  await serve(kernelLogs({ port, directory: new LiveDirectory(resources), log: silentLogger(), metrics, take, ...limits }));
  return { port, metrics, lines };
}

const closed = (socket: Socket) => new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));

test('a record that is begun and not ended, and a connection on which nothing comes, are given up', async () => {
  await using sidero = await testSidero();
  const [hasty, bored] = [await logs(sidero.resources, { recordMs: 100 }), await logs(sidero.resources, { idleMs: 200 })];
  const [slow, silent] = [await logConnection('127.0.0.2', hasty.port), await logConnection('127.0.0.2', bored.port)];
  slow.write('{"msg":"a"}\n{"msg":');
  const dripping = setInterval(() => slow.write(' '), 20);
  await Promise.all([closed(slow), closed(silent)]);
  clearInterval(dripping);
  expect(hasty.lines).toEqual(['{"msg":"a"}']);
  expect(await hasty.metrics.text()).toContain('sidero_kernel_log_dropped_total{reason="late"} 1');
  expect(await bored.metrics.text()).toContain('sidero_kernel_log_refused_total{reason="idle"} 1');
});

test('connections are closed at the end', async () => {
  await using sidero = await testSidero();
  const { port } = await logs(sidero.resources);
  const socket = await logConnection('127.0.0.2', port);
  socket.write('{"msg":"a"');
  const { stop, done } = stops.pop()!;
  stop.abort();
  await Promise.all([done, closed(socket)]);
});

test('a port that is taken is named', async () => {
  await using sidero = await testSidero();
  const { port } = await logs(sidero.resources);
  const again = kernelLogs({
    port,
    directory: new LiveDirectory(sidero.resources),
    log: silentLogger(),
    metrics: createMetrics(),
    take: () => undefined,
  });
  await expect(again.serve(PLACE, new AbortController().signal, () => undefined)).rejects.toMatchObject({ code: 'SIDERO_LISTEN_FAILED' });
});

test('a machine that joins is heard at once, by its name, at each of its boots', async () => {
  const [logPort = 0, eventPort = 0] = await freePorts(2);
  const lines: string[] = [];
  const listening = definePlugin({
    name: 'listening',
    options: z.strictObject({}),
    setup: ({ hooks }) => hooks.stream.tap('listening', (event) => void (event.type === 'log' && lines.push(event.line))),
  });
  await using plane = await linkPlane({ siderolink: { logPort, eventPort }, plugins: [listening()] });
  for (const boot of ['first', 'second']) {
    const { nodeAddressPrefix } = await plane.provision({ joinToken: await plane.token() });
    const [address = ''] = nodeAddressPrefix.split('/');
    (await logConnection(address, logPort)).end(`{"msg":"${boot}"}\n`);
    await until(() => expect(lines.at(-1)).toMatch(new RegExp(`"msg":"${boot}",.*"server_uuid":"${FIXTURE_UUID}"`)));
    await using sink = new SinkClient(address, eventPort);
    // The same id at each boot: only the key tells that the second one is no replay.
    expect(await sink.publish(eventBytes('id1', SequenceEventSchema, { sequence: 'boot', action: SequenceEvent_Action.START }))).toMatchObject({
      code: 0,
    });
    expect((await plane.binding()).status?.talosEvent?.boot).toBe((await plane.binding()).spec?.siderolink?.publicKey);
    await plane.resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
      draft.status!.conditions = [];
    });
  }
});

test('what a machine says is not written for the one that has its address now, nor for its next boot', async () => {
  await using sidero = await testSidero({ objects: [aServer(), aLinkedBinding()] });
  const { resources } = sidero;
  const effect = (draft: ServerBinding): void => void (draft.spec!.hostname = 'written');
  const machine = { uuid: FIXTURE_UUID, names: {}, key: `key of ${FIXTURE_UUID}` };
  const write = { machine, address: '127.0.0.2', eventId: 'id1', effect };
  expect(await writeBinding(resources, { ...write, address: '127.0.0.3' })).toBe('moved');
  expect(await writeBinding(resources, { ...write, machine: { ...machine, key: 'of the boot before' } })).toBe('moved');
  expect((await resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true }))?.spec?.hostname).toBeUndefined();
  expect([await writeBinding(resources, write), await writeBinding(resources, { ...write, eventId: 'id2' })]).toEqual(['applied', 'unchanged']);
});

test('a binding that is younger than what is known here is asked for, and nobody is asked for twice in a row', async () => {
  await using sidero = await testSidero({ objects: [aServer()] });
  const directory = new LiveDirectory(sidero.resources);
  expect(await directory.findMachine('127.0.0.2')).toBeUndefined();
  await sidero.resources.create(ServerBindingKind, aLinkedBinding());
  expect(await directory.findMachine('127.0.0.2')).toBeUndefined();
  await until(async () =>
    expect(await directory.findMachine('127.0.0.2')).toMatchObject({ names: { server_uuid: FIXTURE_UUID, cluster: 'rack-1' } }),
  );
  expect(directory.machineAt('127.0.0.2')).toBeUndefined();
  const stop = new AbortController();
  const running = directory.run(stop.signal);
  await until(() => expect(directory.machineAt('127.0.0.2')).toMatchObject({ names: { server_uuid: FIXTURE_UUID } }));
  stop.abort();
  await running;
});

test('two bindings with one address are nobody, until one is gone', async () => {
  await using sidero = await testSidero({ objects: [aServer(), aLinkedBinding()] });
  const directory = new LiveDirectory(sidero.resources);
  const stop = new AbortController();
  const running = directory.run(stop.signal);
  await until(() => expect(directory.machineAt('127.0.0.2')).toBeDefined());
  const twin = aLinkedBinding('127.0.0.2', '11111111-0000-4000-8000-000000000000');
  await sidero.resources.create(ServerBindingKind, twin);
  await until(() => expect(directory.machineAt('127.0.0.2')).toBeUndefined());
  expect(await directory.findMachine('127.0.0.2')).toBeUndefined();
  await sidero.resources.remove(ServerBindingKind, { name: twin.metadata.name });
  await until(() => expect(directory.machineAt('127.0.0.2')).toMatchObject({ names: { server_uuid: FIXTURE_UUID } }));
  stop.abort();
  await running;
});

test('while the API is away no event is acknowledged, and logs still come', async () => {
  const sidero = await testSidero({ objects: [aServer(), aLinkedBinding()] });
  await using away = createResourcesOf(sidero.kubeConfig);
  const [port = 0] = await freePorts(1);
  const directory = new LiveDirectory(away.resources);
  const stop = new AbortController();
  away.resources.start(stop.signal);
  const running = directory.run(stop.signal);
  await until(() => expect(directory.machineAt('127.0.0.2')).toBeDefined());
  await sidero.close();
  const given = { resources: away.resources, directory, log: silentLogger(), metrics: createMetrics() };
  const taken: unknown[] = [];
  await serve(eventSink({ ...given, port, negativeAddressFilter: [], take: async (record) => void taken.push(record) }));
  await using sink = new SinkClient('127.0.0.2', port);
  expect(await sink.publish(eventBytes('id1', PhaseEventSchema, { phase: 'install' }))).toMatchObject({ code: UNAVAILABLE });
  await using stranger = new SinkClient('127.0.0.3', port);
  expect(await stranger.publish(eventBytes('id1', PhaseEventSchema, { phase: 'install' }))).toMatchObject({ code: UNAVAILABLE });
  expect(taken).toEqual([]);
  const { port: logPort, lines } = await logs(away.resources);
  (await logConnection('127.0.0.2', logPort)).end('{"msg":"a"}\n');
  await until(() => expect(lines).toEqual(['{"msg":"a"}']));
  stop.abort();
  await running;
});

function createResourcesOf(kubeConfig: TestSidero['kubeConfig']) {
  const resources = createResourceClient({
    kubeConfig: () => kubeConfig,
    log: silentLogger(),
    metrics: createMetrics(),
    component: 'test',
    callTimeoutMs: 2000,
  });
  return { resources, [Symbol.asyncDispose]: () => resources.close() };
}
