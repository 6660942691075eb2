import { failure } from '../errors.ts';
import { FieldReader, join } from './bytes.ts';

/** UDP port of RMCP (IPMI 2.0, 13.1.2). */
export const RMCP_PORT = 623;

const VERSION = 0x06;
const NO_ACKNOWLEDGE = 0xff;
const CLASS_MASK = 0x1f;
const CLASS = { asf: 0x06, ipmi: 0x07 } as const;
const ACKNOWLEDGE = 0x80;

const ASF_IANA = Uint8Array.of(0x00, 0x00, 0x11, 0xbe);
const ASF_PING = 0x80;
const ASF_PONG = 0x40;
const SPEAKS_IPMI = 0x81;

/** What RMCP carries: a presence ping or its answer (ASF 2.0), or what IPMI's session layer reads. */
export type RmcpMessage =
  | { readonly class: 'ping'; readonly tag: number }
  | { readonly class: 'pong'; readonly tag: number; readonly speaksIpmi: boolean }
  | { readonly class: 'ipmi'; readonly body: Uint8Array };

/** The whole datagram. */
export function encodeRmcp(message: RmcpMessage): Uint8Array {
  switch (message.class) {
    case 'ping':
      return join(header(CLASS.asf), asf(ASF_PING, message.tag), 0);
    case 'pong':
      return join(
        header(CLASS.asf),
        asf(ASF_PONG, message.tag),
        16,
        ASF_IANA,
        new Uint8Array(4),
        message.speaksIpmi ? SPEAKS_IPMI : 1,
        new Uint8Array(7),
      );
    case 'ipmi':
      return join(header(CLASS.ipmi), message.body);
  }
}

/** @throws SIDERO_IPMI_MALFORMED, also for RMCP's own acknowledgements, which IPMI does not use */
export function decodeRmcp(datagram: Uint8Array): RmcpMessage {
  const reader = new FieldReader(datagram, 'RMCP');
  const [version, , , messageClass] = reader.take(4);
  if (version !== VERSION) throw failure('SIDERO_IPMI_MALFORMED', { problem: `RMCP version ${version} is unknown` });
  if ((messageClass! & ACKNOWLEDGE) !== 0) throw failure('SIDERO_IPMI_MALFORMED', { problem: 'an RMCP acknowledgement that nobody asked for' });
  switch (messageClass! & CLASS_MASK) {
    case CLASS.ipmi:
      return { class: 'ipmi', body: reader.rest() };
    case CLASS.asf:
      return decodeAsf(reader.rest());
    default:
      throw failure('SIDERO_IPMI_MALFORMED', { problem: `RMCP class ${messageClass} is unknown` });
  }
}

function decodeAsf(bytes: Uint8Array): RmcpMessage {
  const reader = new FieldReader(bytes, 'ASF');
  const iana = reader.take(4);
  const [type, tag, , length] = reader.take(4);
  if (!iana.every((byte, index) => byte === ASF_IANA[index]))
    throw failure('SIDERO_IPMI_MALFORMED', { problem: 'the enterprise number is not that of ASF' });
  if (type === ASF_PING) return { class: 'ping', tag: tag! };
  if (type !== ASF_PONG) throw failure('SIDERO_IPMI_MALFORMED', { problem: `ASF message type ${type} is unknown` });
  const data = new FieldReader(reader.take(length!), 'ASF pong');
  data.take(8);
  return { class: 'pong', tag: tag!, speaksIpmi: (data.byte() & 0x80) !== 0 };
}

function header(messageClass: number): Uint8Array {
  return Uint8Array.of(VERSION, 0, NO_ACKNOWLEDGE, messageClass);
}

function asf(type: number, tag: number): Uint8Array {
  return join(ASF_IANA, type, tag, 0);
}
