import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { conditionOf, definePlugin, isTrue, type Plugin, type ServerBinding, ServerBindingKind, ServerKind } from '@sidero/core';
import {
  AddressEventSchema,
  EventRequestSchema,
  PhaseEvent_Action,
  PhaseEventSchema,
  SequenceError_Code,
  SequenceEvent_Action,
  SequenceEventSchema,
  TaskEventSchema,
} from '@sidero/plugin-siderolink/protocol';
import { MetalMachineKind } from '@sidero/plugin-caps';
import { aServer, FIXTURE_UUID } from '@sidero/testing';
import { afterEach, beforeAll, afterAll, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { type KeptKind, printLines } from '../../plugins/siderolink/src/commands/kept-commands.ts';
import { streamPath } from '../../plugins/siderolink/src/commands/stream-commands.ts';
import { followSocket } from '../../plugins/siderolink/src/outlets/follow-socket.ts';
import { clusterApiKinds } from './clusters/cluster-api.ts';
import { aLinkedBinding, aMetalMachine, createOwner, ownerReference, type StreamsPlane, streamsPlane } from './siderolink-streams/streams-plane.ts';
import { eventBytes, logConnection, SinkClient } from './siderolink-streams/talos-node.ts';

// Machines are addresses of loopback here; what is behind them is as in the tunnel.

const until = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 30_000, interval: 20 });
const OK = { code: 0, message: 'OK' };
const NOT_FOUND = 5;
const INVALID_ARGUMENT = 3;
const names = (more = '') => `"cluster":"rack-1",${more}"metal_machine":"rack-1-cp-x7k2p"`;
/** The line of `{"msg":"…"}` of the fixture's machine. */
const named = (msg: string, more = '') => `{${names(more)},"msg":"${msg}","namespace":"default","server_uuid":"${FIXTURE_UUID}"}`;

const open: { destroy(): void }[] = [];
afterEach(() => open.splice(0).forEach((socket) => socket.destroy()));

async function machineLog(plane: StreamsPlane, from = '127.0.0.2'): Promise<Socket> {
  const socket = await logConnection(from, plane.logPort);
  open.push(socket);
  return socket;
}

function output(): { stream: PassThrough; lines: () => string[] } {
  const stream = new PassThrough();
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return { stream, lines: () => text.split('\n').filter(Boolean) };
}

const bindingOf = async ({ sidero }: StreamsPlane) => (await sidero.resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true }))!;

describe('who it is', () => {
  let plane: StreamsPlane;
  let told = 0;
  beforeAll(async () => void (plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()], plugins: [clusterApiKinds()] })));
  afterAll(() => plane?.[Symbol.asyncDispose]());
  /** The lines that came of what is sent, and no earlier ones. */
  const says = async (text: string, from?: string) => {
    const socket = await machineLog(plane, from);
    socket.end(text);
    await until(() => expect(plane.lines().length).toBeGreaterThan(told));
    const lines = plane.lines().slice(told);
    told = plane.lines().length;
    return lines;
  };

  test('a record has the names of its machine, whatever the sender says', async () => {
    expect(await says('{"msg":"a","cluster":"spoofed","server_uuid":"spoofed","machine":"spoofed"}\n')).toEqual([named('a')]);
  });

  test('an owner and a label that come later, or change, are told from then on', async () => {
    const { resources } = plane.sidero;
    await resources.create(MetalMachineKind, aMetalMachine(await createOwner(resources, 'm-1')));
    await until(async () => expect(await says('{"msg":"b"}\n')).toEqual([named('b', '"machine":"m-1",')]));
    const next = ownerReference(await createOwner(resources, 'm-2'));
    await resources.change(MetalMachineKind, { namespace: 'default', name: 'rack-1-cp-x7k2p' }, (draft) => {
      draft.metadata.ownerReferences = [next];
    });
    await resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
      draft.metadata.labels = { 'cluster.x-k8s.io/cluster-name': 'rack-2' };
    });
    await until(async () => expect(await says('{"msg":"c"}\n')).toEqual([named('c', '"machine":"m-2",').replace('rack-1"', 'rack-2"')]));
  });

  test('who is in the tunnel and has no binding has no names, and cannot give himself any', async () => {
    expect(await says('{"msg":"d","server_uuid":"x","namespace":"y"}\n', '127.0.0.9')).toEqual(['{"msg":"d"}']);
  });

  test('who is not in the tunnel is not listened to', async () => {
    const socket = await machineLog(plane, '127.0.0.1');
    socket.write('{"msg":"stranger"}\n');
    await until(() => expect(socket.destroyed).toBe(true));
    expect(await says('{"msg":"e"}\n', '127.0.0.9')).toEqual(['{"msg":"e"}']);
    expect(await plane.metrics()).toContain('sidero_kernel_log_refused_total{reason="stranger"} 1');
  });

  test('a machine whose binding goes is nobody at once: its connection is closed, and its events are not taken', async () => {
    const socket = await machineLog(plane);
    socket.write('{"msg":"f"}\n');
    await until(() => expect(plane.lines().at(-1)).toContain('"f"'));
    await using before = new SinkClient('127.0.0.2', plane.eventPort);
    expect(await before.publish(eventBytes('id0', TaskEventSchema, { task: 't' }))).toEqual(OK);
    await plane.sidero.resources.remove(ServerBindingKind, { name: FIXTURE_UUID });
    await until(() => expect(socket.destroyed).toBe(true));
    told = plane.lines().length;
    expect(await says('{"msg":"g"}\n')).toEqual(['{"msg":"g"}']);
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    const answer = await sink.publish(eventBytes('id1', PhaseEventSchema, { phase: 'install' }));
    expect(answer).toEqual({ code: NOT_FOUND, message: 'no ServerBinding has the address 127.0.0.2' });
    expect(await plane.metrics()).toContain('sidero_talos_events_total{type="PhaseEvent",outcome="unknown-sender"} 1');
    expect(await plane.metrics()).toContain('sidero_talos_event_refused_total{reason="gone"} 1');
    await expect(before.publish(eventBytes('id1', TaskEventSchema, { task: 't' }))).rejects.toThrow();
  });
});

describe('what machines must not be able to do', () => {
  test('rubbish, records too long or without end, and too many connections hold up nobody', async () => {
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()] });
    const bad = await machineLog(plane);
    bad.write('kernel panic\n[1,2]{"msg":"1"}null\n{"msg":"cut\n');
    bad.write(`{"msg":"${'x'.repeat(10_000_000)}"}\n{"msg":"2"}\n`);
    const endless = await machineLog(plane);
    const rubbish = Buffer.alloc(1_000_000, 'y');
    for (let count = 0; count < 20; count++) endless.write(rubbish);
    await until(() => expect(plane.lines()).toEqual([named('1'), named('2')]));
    const metrics = await plane.metrics();
    expect(metrics).toMatch(/sidero_kernel_log_dropped_total\{reason="syntax"\} [45]/);
    expect(metrics).toContain('sidero_kernel_log_dropped_total{reason="oversize"} 1');
    const more = await Promise.all(Array.from({ length: 4 }, () => machineLog(plane)));
    await until(() => expect([bad.destroyed, endless.destroyed]).toEqual([true, true]));
    expect(more.some(({ destroyed }) => destroyed)).toBe(false);
    more[3]!.write('{"msg":"3"}\n');
    await until(() => expect(plane.lines().at(-1)).toBe(named('3')));
  });

  test('of its connections for events a machine loses the oldest when it has too many, as one that booted anew leaves them behind', async () => {
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()] });
    await using left = new AsyncDisposableStack();
    const event = eventBytes('id1', TaskEventSchema, { task: 't' });
    const sinks: SinkClient[] = [];
    for (let count = 0; count < 5; count++) {
      const sink = left.use(new SinkClient('127.0.0.2', plane.eventPort));
      expect(await sink.publish(event)).toEqual(OK);
      sinks.push(sink);
    }
    const outcomes = await Promise.allSettled(sinks.map((sink) => sink.publish(event)));
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['rejected', ...Array.from({ length: 4 }, () => 'fulfilled')]);
    expect(await plane.metrics()).toContain('sidero_talos_event_refused_total{reason="limit"} 1');
  });

  test('requests that cannot be read are answered, and the next one is served', async () => {
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()] });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    const request = (typeUrl: string, value: Uint8Array) =>
      toBinary(EventRequestSchema, create(EventRequestSchema, { id: 'id1', data: { typeUrl, value } }));
    const answers = await Promise.all([
      sink.publish(new Uint8Array()),
      sink.publish(Uint8Array.of(255, 255)),
      sink.publish(request('type.googleapis.com/machine.PhaseEvent', Uint8Array.of(255))),
    ]);
    expect(answers.map(({ code }) => code)).toEqual([INVALID_ARGUMENT, INVALID_ARGUMENT, INVALID_ARGUMENT]);
    expect(answers[0]?.message).toBe('the request has no data');
    expect(await sink.publish(request('type.googleapis.com/machine.RestartEvent', Uint8Array.of(255)))).toEqual(OK);
    await until(() =>
      expect(plane.told.at(-1)).toMatchObject({ type: 'talos', uuid: FIXTURE_UUID, event: { type: 'type.googleapis.com/machine.RestartEvent' } }),
    );
    await using stranger = new SinkClient('127.0.0.1', plane.eventPort);
    await expect(stranger.publish(request('x', new Uint8Array()))).rejects.toThrow();
  });

  test('a tap that hangs or throws loses nobody else a record', async () => {
    const trouble = (name: string, tap: Parameters<Parameters<Plugin['setup']>[0]['hooks']['stream']['tap']>[1]) =>
      definePlugin({ name, options: z.strictObject({}), setup: ({ hooks }) => hooks.stream.tap(name, tap) })();
    const hangs = trouble('hangs', (() => new Promise(() => undefined)) as () => void);
    const throws = trouble('throws', () => {
      throw new Error('no');
    });
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()], plugins: [hangs, throws] });
    const socket = await machineLog(plane);
    const sent = Array.from({ length: 12_000 }, (_, index) => `{"msg":"${index}"}\n`);
    socket.end(sent.join(''));
    await until(() => expect(plane.lines()).toHaveLength(sent.length));
    expect(plane.lines().at(-1)).toBe(named('11999'));
    expect(await plane.metrics()).toMatch(/sidero_stream_dropped_total\{plugin="hangs"\} [1-9]/);
  });
});

describe('events', () => {
  /** Ids as Talos makes them: the same process, one a second. */
  const id = (count: number) => `c857jkm1jjcc7393cb${count.toString(32)}0`;
  const phase = (at: string, name: string) => eventBytes(at, PhaseEventSchema, { phase: name, action: PhaseEvent_Action.START });
  const boot = (at: string) => eventBytes(at, SequenceEventSchema, { sequence: 'boot', action: SequenceEvent_Action.START });
  const rebooting = (at: string) =>
    eventBytes(at, SequenceEventSchema, {
      sequence: 'install',
      error: { code: SequenceError_Code.FATAL, message: 'sequence failed: unix.Reboot(1234567)' },
    });
  const installed = ({ status }: ServerBinding) => conditionOf(status?.conditions, 'TalosInstalled');

  test('an event is acknowledged once its condition is written, and the server boots from disk once Talos is installed', async () => {
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()] });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    expect(await sink.publish(phase(id(1), 'install'))).toEqual(OK);
    // Who is killed after the answer has told every tap that answers at once.
    expect(plane.told.filter(({ type }) => type === 'talos')).toMatchObject([{ event: { id: id(1) } }]);
    expect(installed(await bindingOf(plane))).toMatchObject({ status: 'False', reason: 'TalosInstallationInProgress', severity: 'Info' });
    const target = async () => {
      const { resources, lifecycle } = plane.sidero;
      const server = await resources.get(ServerKind, { name: FIXTURE_UUID }, { live: true });
      const plan = await lifecycle.boot({ uuid: FIXTURE_UUID, mac: '', arch: 'amd64', address: '172.25.0.101', peek: true });
      return [isTrue(server?.status?.conditions, 'PXEBooted'), plan.target];
    };
    expect((await target())[1]).not.toBe('disk');
    expect(await sink.publish(rebooting(id(2)))).toEqual(OK);
    expect(installed(await bindingOf(plane))).toMatchObject({ status: 'True' });
    await until(async () => expect(await target()).toEqual([true, 'disk']));
    expect(await plane.metrics()).toContain('sidero_talos_event_seconds_count 2');
  });

  test('what is told again, or late, sets nothing back; a new boot does', async () => {
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()] });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    for (const event of [phase(id(1), 'install'), rebooting(id(3)), phase(id(1), 'install'), phase(id(2), 'install')])
      expect(await sink.publish(event)).toEqual(OK);
    const after = await bindingOf(plane);
    expect([installed(after)?.status, after.status?.talosEvent]).toEqual(['True', { id: id(3), boot: `key of ${FIXTURE_UUID}` }]);
    // Another key: the machine was booted again, and is being installed again. Its counts begin anywhere.
    await plane.sidero.resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
      draft.spec!.siderolink!.publicKey = 'its next key';
    });
    expect(await sink.publish(phase(id(2), 'install'))).toEqual(OK);
    expect(installed(await bindingOf(plane))?.status).toBe('False');
    expect(await sink.publish(boot(id(3)))).toEqual(OK);
    expect(installed(await bindingOf(plane))?.status).toBe('True');
  });

  test('what was told before we were started again sets nothing back either', async () => {
    const before = { ...aLinkedBinding(), status: { ready: true, talosEvent: { id: id(5), boot: `key of ${FIXTURE_UUID}` } } };
    const conditions = [{ type: 'TalosInstalled', status: 'True' as const, lastTransitionTime: '2026-01-01T00:00:00Z' }];
    await using plane = await streamsPlane({ objects: [aServer(), { ...before, status: { ...before.status, conditions } } as ServerBinding] });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    expect(await sink.publish(phase(id(4), 'install'))).toEqual(OK);
    expect((await bindingOf(plane)).status?.conditions).toEqual(conditions);
    expect(await plane.metrics()).toContain('sidero_talos_events_total{type="PhaseEvent",outcome="replayed"} 1');
  });

  test('events of one machine that come at once are handled in their order, each once', async () => {
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()] });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    const answers = await Promise.all(
      [phase(id(1), 'install'), phase(id(1), 'install'), rebooting(id(2)), boot(id(3)), boot(id(3))].map((event) => sink.publish(event)),
    );
    expect(answers).toEqual(answers.map(() => OK));
    expect(installed(await bindingOf(plane))?.status).toBe('True');
  });

  test('addresses and host name are written, without those of the filter, and the line tells all of them', async () => {
    await using plane = await streamsPlane({
      objects: [aServer(), aLinkedBinding()],
      siderolink: { negativeAddressFilter: ['10.0.0.0/8', '127.0.0.0/16'] },
    });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    const addresses = ['172.25.0.5', '127.0.0.2', '10.1.2.3', 'bogus', 'fe80::1'];
    expect(await sink.publish(eventBytes(id(1), AddressEventSchema, { hostname: 'pxe-2', addresses }))).toEqual(OK);
    expect((await bindingOf(plane)).spec).toMatchObject({ hostname: 'pxe-2', addresses: ['172.25.0.5', 'fe80::1'] });
    await until(() => expect(plane.told.at(-1)?.type).toBe('talos'));
    const told = plane.told.at(-1) as { line: string };
    expect(told.line).toMatch(
      /^\{"level":"info","ts":\d+(\.\d+)?,"caller":"siderolink\/events","msg":"incoming event","component":"sink","node":"127\.0\.0\.2:\d+",/,
    );
    expect(told.line).toContain(
      `"id":"${id(1)}","type":"type.googleapis.com/machine.AddressEvent","server_uuid":"${FIXTURE_UUID}","cluster":"rack-1","namespace":"default","metal_machine":"rack-1-cp-x7k2p","hostname":"pxe-2","addresses":${JSON.stringify(addresses)}}`,
    );
  });
});

describe('where records go', () => {
  let dataDir: string;
  beforeAll(async () => void (dataDir = await mkdtemp(join(tmpdir(), 'sidero-streams-'))));
  afterAll(() => rm(dataDir, { recursive: true, force: true }));
  const kinds = { logs: { name: 'logs', what: 'kernel log' }, events: { name: 'events', what: 'events' } } as const;
  const given = (stream: PassThrough, kind: KeptKind = kinds.logs) => ({ kind, server: FIXTURE_UUID, dataDir, token: undefined, output: stream });
  const printed = async (options: Parameters<typeof printLines>[1], kind: KeptKind = kinds.logs) => {
    const { stream, lines } = output();
    await printLines(given(stream, kind), options);
    return lines();
  };

  test('to the container that prints them, to the disk over restarts, and live to who follows', async () => {
    const logs = output();
    const stop = new AbortController();
    const following = followSocket({ path: streamPath(dataDir, 'logs'), output: logs.stream, signal: stop.signal });
    for (const boot of ['first', 'second']) {
      await using plane = await streamsPlane({ dataDir, objects: [aServer(), aLinkedBinding()] });
      await plane.sidero.resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
        draft.spec!.siderolink!.publicKey = boot;
      });
      const socket = await machineLog(plane);
      const { stream, lines } = output();
      await until(() => expect(existsSync(join(dataDir, 'stream'))).toBe(true));
      const follow = printLines(given(stream), { follow: true });
      socket.write(`{"msg":"${boot}"}\n`);
      await until(() => expect([lines().at(-1), logs.lines().at(-1)]).toEqual([named(boot), named(boot)]));
      process.emit('SIGINT');
      await follow;
    }
    stop.abort();
    await following;
    expect(logs.lines()).toEqual([named('first'), named('second')]);
    expect(await printed({})).toEqual([named('first'), named('second')]);
    expect([await printed({ boot: '0' }), await printed({ boot: '-1' })]).toEqual([[named('second')], [named('first')]]);
    expect(await printed({ since: '1h' })).toHaveLength(2);
    expect(await printed({ since: new Date(Date.now() + 60_000).toISOString() })).toEqual([]);
  });

  test('to a laptop through the management listener, for whom the Kubernetes API lets; nothing stays of a server that is gone', async () => {
    const site = { diagnosticsAddress: '127.0.0.1:0' };
    // Of a server that was deleted while nobody looked.
    await mkdir(join(dataDir, 'logs', 'gone'), { recursive: true });
    await using plane = await streamsPlane({ dataDir, site, objects: [aServer(), aLinkedBinding()] });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    await sink.publish(eventBytes('id7', TaskEventSchema, { task: 't' }));
    const from = `https://127.0.0.1:${plane.sidero.running.diagnosticsPort}`;
    const token = plane.sidero.kubeConfig.getCurrentUser()!.token;
    await until(() => expect(existsSync(join(dataDir, 'logs', 'gone'))).toBe(false));
    // Acknowledged is on disk.
    expect(await printed({}, kinds.events)).toHaveLength(1);
    const { stream, lines } = output();
    await printLines({ ...given(stream, kinds.events), dataDir: '/nowhere', token }, { from });
    expect(lines()).toEqual(await printed({}, kinds.events));
    await expect(printLines(given(stream), { from })).rejects.toThrow(/401/);
    await expect(printLines({ ...given(stream), token, server: 'other' }, { from })).rejects.toMatchObject({
      code: 'SIDERO_LINES_MISSING',
      message: expect.stringMatching(/^Nothing is kept of the kernel log of server other/) as string,
    });
    await expect(printLines({ ...given(stream), token }, { from, since: 'yesterday' })).rejects.toMatchObject({
      code: 'SIDERO_LINES_OPTION_INVALID',
    });

    const live = output();
    const follow = printLines({ ...given(live.stream), token }, { from, follow: true, boot: '0' });
    const socket = await machineLog(plane);
    socket.write('{"msg":"live"}\n');
    await until(() => expect(live.lines().at(-1)).toBe(named('live')));
    process.emit('SIGINT');
    await follow;

    socket.destroy();
    await plane.sidero.resources.remove(ServerBindingKind, { name: FIXTURE_UUID });
    await until(async () =>
      expect((await plane.sidero.resources.get(ServerKind, { name: FIXTURE_UUID }, { live: true }))?.status?.inUse).toBe(false),
    );
    await plane.sidero.resources.remove(ServerKind, { name: FIXTURE_UUID });
    await until(() =>
      expect([existsSync(join(dataDir, 'logs', FIXTURE_UUID)), existsSync(join(dataDir, 'events', FIXTURE_UUID))]).toEqual([false, false]),
    );
  });

  test('by the programs of the containers and of people', async () => {
    await using plane = await streamsPlane({ dataDir, objects: [aServer(), aLinkedBinding()] });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    using serverlogs = sidero('serverlogs');
    using serverevents = sidero('serverevents');
    using logs = sidero('logs', '-f', '--boot', '0', FIXTURE_UUID);
    const socket = await machineLog(plane);
    // Whoever starts late gets what comes from then on; a machine with much else to do starts programs slowly.
    const patience = { timeout: 120_000, interval: 100 };
    await vi.waitFor(async () => {
      socket.write('{"msg":"to all"}\n');
      await sink.publish(eventBytes('id1', TaskEventSchema, { task: 'to all' }));
      expect([serverlogs.stdout().at(-1), logs.stdout().at(-1)]).toEqual([named('to all'), named('to all')]);
      expect([serverevents.stderr().at(-1), serverevents.stdout()]).toEqual([expect.stringContaining('"task":"to all","action":"START"}'), []]);
    }, patience);
    const ends = await Promise.all([serverlogs, serverevents, logs].map((program) => program.interrupted()));
    expect(ends).toEqual([0, 0, 0]);
    using printing = sidero('logs', FIXTURE_UUID, '--since', '1h');
    expect(await printing.ended).toBe(0);
    expect(printing.stdout().at(-1)).toBe(named('to all'));
    using none = sidero('events', 'nobody');
    expect([await none.ended, none.stderr().join('\n')]).toEqual([1, expect.stringMatching(/SIDERO_LINES_MISSING[^]*Next: give --data-dir/)]);
  }, 240_000);

  /** Runs the program with the data directory of these tests. */
  function sidero(...args: string[]) {
    const bin = fileURLToPath(new URL('../../core/bin/sidero.js', import.meta.url));
    const config = fileURLToPath(new URL('siderolink-streams/sidero.config.ts', import.meta.url));
    const child = spawn(process.execPath, ['--conditions=source', bin, '--config', config, ...args, '--data-dir', dataDir]);
    const [stdout, stderr] = [output(), output()];
    child.stdout.pipe(stdout.stream);
    child.stderr.pipe(stderr.stream);
    const ended = once(child, 'close').then(([code]) => code as number | null);
    const interrupted = () => (child.kill('SIGINT'), ended);
    return { stdout: stdout.lines, stderr: stderr.lines, ended, interrupted, [Symbol.dispose]: () => child.kill('SIGKILL') };
  }

  test('who follows where nothing comes is told so', async () => {
    const elsewhere = join(dataDir, 'of a replica that does not lead');
    await mkdir(join(elsewhere, 'logs', FIXTURE_UUID), { recursive: true });
    const notes = output();
    const follow = printLines({ ...given(output().stream), dataDir: elsewhere, notes: notes.stream }, { follow: true });
    await until(() => expect(notes.lines()).toEqual([expect.stringMatching(/^nothing comes here now: .*; sidero why \S+ tells who leads$/)]));
    process.emit('SIGINT');
    await follow;
  });

  test('what is not there is named', async () => {
    await expect(printLines({ ...given(output().stream), server: 'other' }, {})).rejects.toMatchObject({ code: 'SIDERO_LINES_MISSING' });
    await expect(printLines({ ...given(output().stream), server: '../etc' }, {})).rejects.toMatchObject({ code: 'SIDERO_LINES_OPTION_INVALID' });
    await expect(printed({ boot: 'last' })).rejects.toMatchObject({ code: 'SIDERO_LINES_OPTION_INVALID' });
    await expect(printed({ from: 'https://127.0.0.1:1' })).rejects.toMatchObject({ code: 'SIDERO_LINES_UNREADABLE' });
  });
});
