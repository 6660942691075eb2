import { conditionOf, ServerBindingKind } from '@sidero/core';
import { PhaseEvent_Action, PhaseEventSchema, SequenceEvent_Action, SequenceEventSchema } from '@sidero/plugin-siderolink/protocol';
import { aServer, FIXTURE_UUID } from '@sidero/testing';
import { describe, expect, test, vi } from 'vitest';
import { aLinkedBinding, streamsPlane } from './siderolink-streams/streams-plane.ts';
import { eventBytes, logConnection, SinkClient } from './siderolink-streams/talos-node.ts';

const until = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 20_000, interval: 20 });
const OK = { code: 0, message: 'OK' };

describe('kernel logs', () => {
  test('a record comes out with the names of its machine, from whatever the sender says', async () => {
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()] });
    const socket = await logConnection('127.0.0.2', plane.logPort);
    socket.write('{"seq":1,"msg":"<hi>\\n","cluster":"spoofed"}\n');
    const names = `"cluster":"rack-1","metal_machine":"rack-1-cp-x7k2p","msg":"\\u003chi\\u003e\\n","namespace":"default","seq":1`;
    await until(() => expect(plane.lines()).toEqual([`{${names},"server_uuid":"${FIXTURE_UUID}"}`]));
  });
});

describe('events', () => {
  test('an event is acknowledged once its condition is written', async () => {
    await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()] });
    await using sink = new SinkClient('127.0.0.2', plane.eventPort);
    const { resources } = plane.sidero;
    const installed = async () => {
      const binding = await resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true });
      return conditionOf(binding?.status?.conditions, 'TalosInstalled');
    };
    expect(await sink.publish(eventBytes('id1', PhaseEventSchema, { phase: 'install', action: PhaseEvent_Action.START }))).toEqual(OK);
    expect(await installed()).toMatchObject({ status: 'False', reason: 'TalosInstallationInProgress', severity: 'Info' });
    expect(await sink.publish(eventBytes('id2', SequenceEventSchema, { sequence: 'boot', action: SequenceEvent_Action.START }))).toEqual(OK);
    expect(await installed()).toMatchObject({ status: 'True' });
  });
});
