import fc from 'fast-check';
import {
  CIPHER_SUITES,
  COMMAND,
  decodeOpenAnswer,
  decodeRakp2,
  decodeResponse,
  decodeRmcp,
  decodeSession,
  deriveKeys,
  encodeCloseSession,
  encodeOpenRequest,
  encodeRakp1,
  encodeRakp3,
  encodeRequest,
  encodeRmcp,
  encodeSealed,
  isGranted,
  openSealed,
  PAYLOAD,
  rakp3Code,
  type SealedPacket,
} from '@sidero/plugin-ipmi/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { SimulatedBmc } from '../simulated-bmc.ts';
import { LanParameters } from './lan-parameters.ts';
import { IpmiResponder, type ResponderOptions } from './responder.ts';

const suite = CIPHER_SUITES[17];
const { algorithms } = suite;
const guid = new Uint8Array(16);
const nothing = new Uint8Array();

function aResponder(more: Partial<ResponderOptions> = {}) {
  const bmc = new SimulatedBmc();
  const lan = new LanParameters({ address: '127.0.0.1', mac: '52:54:00:be:ef:03', authTypes: 0, suites: [17] });
  return { bmc, responder: new IpmiResponder({ bmc, lan, guid, suites: [17], speaksIpmi15: true, knowsRepeats: false, seed: 1, ...more }) };
}

/** A console that has logged in. */
function logIn(responder: IpmiResponder) {
  const tell = (payloadType: number, payload: Uint8Array) => {
    const answer = responder.answer(encodeRmcp({ class: 'ipmi', body: encodeSealed({ payloadType, sessionId: 0, sequence: 0, payload }) }));
    return sealed(answer!).payload;
  };
  const ids = { consoleSessionId: 0x01020304, consoleRandom: new Uint8Array(16).fill(9), role: 0x14, user: 'admin' };
  const opened = decodeOpenAnswer(tell(PAYLOAD.openRequest, encodeOpenRequest({ tag: 1, privilege: 4, consoleSessionId: 0x01020304, algorithms })));
  if (!isGranted(opened)) throw new Error(`refused: ${opened.status}`);
  const { bmcSessionId } = opened;
  const proof = decodeRakp2(tell(PAYLOAD.rakp1, encodeRakp1({ tag: 2, bmcSessionId, ...ids })));
  if (!isGranted(proof)) throw new Error(`refused: ${proof.status}`);
  const known = { suite, password: 'secret', ...ids, bmcSessionId, bmcRandom: proof.bmcRandom, bmcGuid: proof.bmcGuid };
  tell(PAYLOAD.rakp3, encodeRakp3({ tag: 3, status: 0, bmcSessionId, authCode: rakp3Code(known) }));
  return { id: bmcSessionId, keys: deriveKeys(known) };
}

const sealed = (datagram: Uint8Array) => decodeSession((decodeRmcp(datagram) as { body: Uint8Array }).body) as SealedPacket;

describe('a BMC as a function of datagrams', () => {
  let bmc: SimulatedBmc;
  let responder: IpmiResponder;
  let session: ReturnType<typeof logIn>;
  let sequence = 0;
  const pack = (command: { netFn: number; command: number }, data: Uint8Array, rqSeq: number) => {
    const payload = encodeRequest({ ...command, data, sequence: rqSeq });
    return encodeRmcp({
      class: 'ipmi',
      body: encodeSealed({ payloadType: PAYLOAD.ipmi, sessionId: session.id, sequence: ++sequence, payload }, session.keys),
    });
  };
  const codeOf = (answer: Uint8Array) => decodeResponse(openSealed(sealed(answer), session.keys)).completionCode;
  const start = (more?: Partial<ResponderOptions>) => {
    ({ bmc, responder } = aResponder(more));
    sequence = 0;
    session = logIn(responder);
    responder.answer(pack(COMMAND.setSessionPrivilege, Uint8Array.of(4), 0));
  };
  beforeEach(() => start());

  test('takes a packet once: neither its copy nor one from long ago', () => {
    const first = pack(COMMAND.chassisControl, Uint8Array.of(1), 1);
    expect(codeOf(responder.answer(first)!)).toBe(0);
    expect(responder.answer(first)).toBeUndefined();
    const skipped = pack(COMMAND.chassisControl, Uint8Array.of(0), 2);
    for (let more = 0; more < 20; more++) responder.answer(pack(COMMAND.getChassisStatus, nothing, 3));
    expect(responder.answer(skipped)).toBeUndefined();
    expect(bmc.control.actions).toEqual(['on']);
  });

  test('does a repeated request again, or answers it from memory, as it is made', () => {
    const twice = () => [1, 1].map((rqSeq) => codeOf(responder.answer(pack(COMMAND.chassisControl, Uint8Array.of(1), rqSeq))!));
    expect([twice(), bmc.control.actions]).toEqual([
      [0, 0],
      ['on', 'on'],
    ]);
    start({ knowsRepeats: true });
    expect([twice(), bmc.control.actions]).toEqual([[0, 0], ['on']]);
  });

  test('forgets a session when it is closed, and when nobody used it for a minute', () => {
    expect(bmc.sessions.size).toBe(1);
    responder.answer(pack(COMMAND.closeSession, encodeCloseSession(session.id), 1));
    expect(bmc.sessions.size).toBe(0);
    expect(responder.answer(pack(COMMAND.getChassisStatus, nothing, 2))).toBeUndefined();

    let nowMs = 0;
    const clock = { now: () => new Date(nowMs), pause: () => new Promise<void>(() => undefined) };
    start({ bmc: new SimulatedBmc({ clock }) });
    nowMs = 59_000;
    expect(codeOf(responder.answer(pack(COMMAND.getChassisStatus, nothing, 1))!)).toBe(0);
    nowMs = 120_000;
    expect(responder.answer(pack(COMMAND.getChassisStatus, nothing, 2))).toBeUndefined();
  });

  test('says that data is too short instead of falling over it', () => {
    expect(codeOf(responder.answer(pack(COMMAND.getUserAccess, nothing, 1))!)).toBe(0xc7);
    expect(codeOf(responder.answer(pack(COMMAND.chassisControl, nothing, 2))!)).toBe(0xcc);
    expect(codeOf(responder.answer(pack(COMMAND.closeSession, nothing, 3))!)).toBe(0xc7);
  });

  test('answers any command of any data with one answer, in a session', () => {
    const commands = fc.record({ netFn: fc.constantFrom(0, 6, 12, 44), command: fc.nat(255), data: fc.uint8Array({ maxLength: 40 }) });
    fc.assert(
      fc.property(commands, ({ netFn, command, data }) => {
        start();
        const answer = responder.answer(pack({ netFn, command }, data, 1));
        expect(decodeResponse(openSealed(sealed(answer!), session.keys))).toMatchObject({ netFn: netFn + 1, command, sequence: 1 });
      }),
    );
  });

  test('is calm about any bytes, and about any change of a good packet', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void responder.answer(bytes)));
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const packet = pack(COMMAND.chassisControl, Uint8Array.of(1), 1);
        packet[at % packet.length]! ^= change;
        responder.answer(packet);
      }),
    );
    // The RMCP header is the only part that proves nothing.
    expect(bmc.control.actions.every((action) => action === 'on')).toBe(true);
  });
});
