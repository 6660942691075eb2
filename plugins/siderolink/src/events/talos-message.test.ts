import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { EventRequestSchema } from '../protocol/events_pb.ts';
import { ConfigLoadErrorEventSchema } from '../protocol/machine_pb.ts';
import { eventFields, eventLine } from './event-line.ts';
import { talosMessage } from './talos-message.ts';

const names = {
  server_uuid: 'b4e677d9-b59b-4c1c-925a-f9d9ce049d79',
  cluster: 'management-cluster',
  namespace: 'default',
  metal_machine: 'mm-1',
  machine: 'm-1',
};
const at = new Date(1_795_373_057_475);

const said = (hex: string) => {
  const { id, actorId, data } = fromBinary(EventRequestSchema, Buffer.from(hex, 'hex'));
  return { id, actorId, type: data!.typeUrl, message: talosMessage(data!.typeUrl, data!.value) };
};

// Recorded from the original.
test.each([
  [
    'TaskEvent',
    '0a2c0a25747970652e676f6f676c65617069732e636f6d2f6d616368696e652e5461736b4576656e7412030a017412036964311a03616374',
    'id1',
    { kind: 'task', task: 't', action: 'START' },
  ],
  [
    'PhaseEvent',
    '0a330a26747970652e676f6f676c65617069732e636f6d2f6d616368696e652e50686173654576656e7412090a07696e7374616c6c12036964321a03616374',
    'id2',
    { kind: 'phase', phase: 'install', action: 'START' },
  ],
  [
    'PhaseEvent',
    '0a350a26747970652e676f6f676c65617069732e636f6d2f6d616368696e652e50686173654576656e74120b0a07696e7374616c6c100112036964391a03616374',
    'id9',
    { kind: 'phase', phase: 'install', action: 'STOP' },
  ],
  [
    'SequenceEvent',
    '0a350a29747970652e676f6f676c65617069732e636f6d2f6d616368696e652e53657175656e63654576656e7412080a04626f6f7410011204696431371a03616374',
    'id17',
    { kind: 'sequence', sequence: 'boot', action: 'START', error: undefined },
  ],
  [
    'SequenceEvent',
    '0a4e0a29747970652e676f6f676c65617069732e636f6d2f6d616368696e652e53657175656e63654576656e7412210a07696e7374616c6c1a161214756e69782e5265626f6f742072657475726e65641204696431341a03616374',
    'id14',
    { kind: 'sequence', sequence: 'install', action: 'NOOP', error: { code: 'FATAL', message: 'unix.Reboot returned' } },
  ],
  [
    'ServiceStateEvent',
    '0a560a2d747970652e676f6f676c65617069732e636f6d2f6d616368696e652e5365727669636553746174654576656e7412250a046574636410031a174865616c746820636865636b207375636365737366756c220210011204696431311a03616374',
    'id11',
    { kind: 'service', service: 'etcd', action: 'RUNNING', message: 'Health check successful' },
  ],
])('a recorded %s', (...[type, hex, id, message]) => {
  expect(said(hex)).toEqual({ id, actorId: 'act', type: `type.googleapis.com/machine.${type}`, message });
});

test('an error that quotes the URL of the configuration tells nobody its token', () => {
  const error = `GET http://10.0.0.1:8081/configdata?uuid=u&token=${'A1_-'.repeat(11).slice(1)}: 404`;
  const value = toBinary(ConfigLoadErrorEventSchema, create(ConfigLoadErrorEventSchema, { error }));
  const message = talosMessage('type.googleapis.com/machine.ConfigLoadErrorEvent', value);
  expect(message).toEqual({ kind: 'config-load-error', error: 'GET http://10.0.0.1:8081/configdata?uuid=u&token=***: 404' });
});

test('a type that nobody knows tells nothing, whatever it holds', () => {
  expect(talosMessage('type.googleapis.com/machine.RestartEvent', Uint8Array.of(255))).toEqual({ kind: 'other' });
  expect(talosMessage('talos/runtime/machine.PhaseEvent', Uint8Array.of(255))).toEqual({ kind: 'other' });
});

test('what is not of its type is refused', () => {
  expect(() => talosMessage('type.googleapis.com/machine.PhaseEvent', Uint8Array.of(255))).toThrow();
});

test('the line of an event has the keys of the original in its order', () => {
  const message = { kind: 'address', hostname: 'pxe-2', addresses: ['172.25.0.5', 'bogus'] } as const;
  const event = { id: 'id4', type: 'type.googleapis.com/machine.AddressEvent', fields: eventFields(message) };
  expect(eventLine({ at, node: '127.0.0.1:33064', event, names, message })).toBe(
    '{"level":"info","ts":1795373057.475,"caller":"siderolink/events","msg":"incoming event","component":"sink","node":"127.0.0.1:33064","id":"id4","type":"type.googleapis.com/machine.AddressEvent","server_uuid":"b4e677d9-b59b-4c1c-925a-f9d9ce049d79","cluster":"management-cluster","namespace":"default","metal_machine":"mm-1","machine":"m-1","hostname":"pxe-2","addresses":["172.25.0.5","bogus"]}',
  );
});

test.each([
  [{ kind: 'phase', phase: 'install', action: 'STOP' }, 'info', 'incoming event', '"phase":"install","action":"STOP"'],
  [{ kind: 'task', task: 't', action: 'START' }, 'info', 'incoming event', '"task":"t","action":"START"'],
  [{ kind: 'service', service: 'etcd', action: 'RUNNING', message: 'is up' }, 'info', 'service is up', '"service":"etcd","action":"RUNNING"'],
  [{ kind: 'config-load-error', error: 'no' }, 'info', 'incoming event', '"error":"no"'],
  [{ kind: 'sequence', sequence: 'boot', action: 'START', error: undefined }, 'info', 'incoming event', '"sequence":"boot","action":"START"'],
  [
    { kind: 'sequence', sequence: 'install', action: 'NOOP', error: { code: 'FATAL', message: 'no' } },
    'error',
    'incoming event',
    '"sequence":"install","action":"NOOP","error":"no"',
  ],
] as const)('the line of %j', (...[message, level, msg, fields]) => {
  const line = eventLine({ at, node: '[fd00::1]:1', event: { id: 'i', type: 't', fields: eventFields(message) }, names: {}, message });
  expect(line).toBe(
    `{"level":"${level}","ts":1795373057.475,"caller":"siderolink/events","msg":"${msg}","component":"sink","node":"[fd00::1]:1","id":"i","type":"t",${fields}}`,
  );
});
