import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeProtobuf } from './protobuf.ts';
import { PROTOBUF_MESSAGES } from './protobuf-messages.ts';
import { ApiError } from './status.ts';

const text = (writer: BinaryWriter, field: number, value: string) => writer.tag(field, WireType.LengthDelimited).string(value);
const nested = (writer: BinaryWriter, field: number, value: Uint8Array) => writer.tag(field, WireType.LengthDelimited).bytes(value);

/** A body as Go's clients write it. */
function body(apiVersion: string, kind: string, raw: Uint8Array): Buffer {
  const typeMeta = text(text(new BinaryWriter(), 1, apiVersion), 2, kind).finish();
  const unknown = nested(nested(new BinaryWriter(), 1, typeMeta), 2, raw).finish();
  return Buffer.concat([Buffer.from('k8s\0', 'latin1'), unknown]);
}

describe('the protobuf notation', () => {
  test('a Secret reads as its JSON: bytes in base64, zero values left out', () => {
    const entry = nested(text(new BinaryWriter(), 1, 'key'), 2, Buffer.from('value')).finish();
    const metadata = nested(text(text(new BinaryWriter(), 1, 'name'), 3, ''), 8, new Uint8Array()).finish();
    const secret = text(nested(nested(new BinaryWriter(), 1, metadata), 2, entry), 3, 'Opaque').finish();
    expect(decodeProtobuf(body('v1', 'Secret', secret))).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'name' },
      data: { key: 'dmFsdWU=' },
      type: 'Opaque',
    });
  });

  test('a Lease keeps zeros behind pointers and microseconds', () => {
    const time = new BinaryWriter().tag(1, WireType.Varint).int64(1_700_000_000n).tag(2, WireType.Varint).int32(123_456_789).finish();
    const spec = nested(text(new BinaryWriter(), 1, ''), 4, time)
      .tag(5, WireType.Varint)
      .int32(0)
      .finish();
    const lease = nested(new BinaryWriter(), 2, spec).finish();
    expect(decodeProtobuf(body('coordination.k8s.io/v1', 'Lease', lease))['spec']).toEqual({
      holderIdentity: '',
      renewTime: '2023-11-14T22:13:20.123456Z',
      leaseTransitions: 0,
    });
  });

  test('every message that a message names has a table', () => {
    const scalars = new Set(['string', 'bytes', 'bool', 'int32', 'int64', 'Time', 'MicroTime']);
    const types = Object.values(PROTOBUF_MESSAGES).flatMap((fields) =>
      Object.values(fields).map((field) => field.split(' ')[1]!.replace(/map<|>|\?|\[\]/g, '')),
    );
    expect(types.filter((type) => !scalars.has(type) && !(type in PROTOBUF_MESSAGES))).toEqual([]);
  });

  test('a kind without a table is 415', () => {
    expect(() => decodeProtobuf(body('v1', 'Pod', new Uint8Array()))).toThrow(expect.objectContaining({ code: 415 }));
    expect(() => decodeProtobuf(body('v1', 'constructor', new Uint8Array()))).toThrow(expect.objectContaining({ code: 415 }));
  });

  test('no bytes crash it: what cannot be read is a Status', () => {
    const kinds = fc.constantFrom(...Object.keys(PROTOBUF_MESSAGES));
    fc.assert(
      fc.property(kinds, fc.uint8Array({ maxLength: 200 }), fc.boolean(), (kind, bytes, isWrapped) => {
        try {
          decodeProtobuf(isWrapped ? body('v1', kind, bytes) : Buffer.concat([Buffer.from('k8s\0', 'latin1'), bytes]));
        } catch (error) {
          expect(error).toBeInstanceOf(ApiError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
