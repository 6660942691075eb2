import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ProvisionRequestSchema, ProvisionResponseSchema } from '../protocol/siderolink_pb.ts';
import { swapEnds } from './endpoints.ts';

// Bytes of the original's library.
const REQUEST =
  '0a2462346536373764392d623539622d346331632d393235612d663964396365303439643739122c4c2b56396f30664e596b4d564b4e717358377370427a442f396f5376784d2f43375a435a58316a4c4f33513d';
const RESPONSE =
  '0a103137322e32352e302e323a35313832311a2c7a65336d67684a3741426b574f68726651756b56526a45764d4948765053463345315731567a41704431553d222a666461653a323835393a356262313a376130333a336165333a626533303a376563343a346330392f36342a16666461653a323835393a356262313a376130333a3a31';

const asked = { nodeUuid: 'b4e677d9-b59b-4c1c-925a-f9d9ce049d79', nodePublicKey: 'L+V9o0fNYkMVKNqsX7spBzD/9oSvxM/C7ZCZX1jLO3Q=' };

test.each([
  ['of an old machine', REQUEST, asked],
  ['with a unique token and a version', `${REQUEST}2203746f6b2a0776312e31332e30`, { ...asked, nodeUniqueToken: 'tok', talosVersion: 'v1.13.0' }],
])('a request %s is read and written', (_, hex, fields) => {
  expect(fromBinary(ProvisionRequestSchema, Buffer.from(hex, 'hex'))).toMatchObject(fields);
  expect(Buffer.from(toBinary(ProvisionRequestSchema, create(ProvisionRequestSchema, fields))).toString('hex')).toBe(hex);
});

test('an answer is written as the original writes it', () => {
  const answer = create(ProvisionResponseSchema, {
    serverEndpoint: [...swapEnds(['172.25.0.2:51821'])],
    serverPublicKey: 'ze3mghJ7ABkWOhrfQukVRjEvMIHvPSF3E1W1VzApD1U=',
    nodeAddressPrefix: 'fdae:2859:5bb1:7a03:3ae3:be30:7ec4:4c09/64',
    serverAddress: 'fdae:2859:5bb1:7a03::1',
  });
  expect(Buffer.from(toBinary(ProvisionResponseSchema, answer)).toString('hex')).toBe(RESPONSE);
});

test.each([
  ['', ''],
  ['a', 'a'],
  ['ab', 'ba'],
  ['abc', 'cba'],
  ['abcd', 'dbca'],
])('endpoints %s are %s on the wire, and back again', (given, onWire) => {
  expect(swapEnds(given.split('')).join('')).toBe(onWire);
  expect(swapEnds(onWire.split('')).join('')).toBe(given);
});

test('an old machine, which reads one endpoint, gets the first', () => {
  const sent = create(ProvisionResponseSchema, { serverEndpoint: [...swapEnds(['first:1', 'second:1', 'third:1'])] });
  // Of a field that it takes for a single one, a reader keeps the last.
  expect(fromBinary(ProvisionResponseSchema, toBinary(ProvisionResponseSchema, sent)).serverEndpoint.at(-1)).toBe('first:1');
});
