/** Completion codes of any command (IPMI 2.0, table 5-2). */
export const COMPLETION = {
  ok: 0x00,
  busy: 0xc0,
  invalidCommand: 0xc1,
  invalidForLun: 0xc2,
  timeout: 0xc3,
  outOfSpace: 0xc4,
  lengthInvalid: 0xc7,
  lengthExceeded: 0xc8,
  outOfRange: 0xc9,
  notPresent: 0xcb,
  invalidField: 0xcc,
  illegalForObject: 0xcd,
  noResponse: 0xce,
  duplicate: 0xcf,
  firmwareUpdate: 0xd1,
  initializing: 0xd2,
  destinationUnavailable: 0xd3,
  privilegeInsufficient: 0xd4,
  notInThisState: 0xd5,
  disabled: 0xd6,
  unspecified: 0xff,
} as const;

const TEXTS: Readonly<Record<number, string>> = {
  0xc0: 'the BMC is busy',
  0xc1: 'the BMC does not know this command',
  0xc2: 'the command is not valid for this LUN',
  0xc3: 'the BMC timed out while it worked on the command',
  0xc4: 'the BMC is out of space',
  0xc5: 'the reservation was cancelled',
  0xc6: 'the request was cut short',
  0xc7: "the request's length is invalid",
  0xc8: "the request is longer than this field's limit",
  0xc9: 'a parameter is out of range',
  0xca: 'not that many bytes can be returned',
  0xcb: 'what was asked for is not present',
  0xcc: 'a field of the request is invalid',
  0xcd: 'the command is illegal for this sensor or record',
  0xce: 'the BMC could not give an answer',
  0xcf: 'the BMC took the request for a repetition',
  0xd0: 'the sensor records are being updated',
  0xd1: 'the firmware is being updated',
  0xd2: 'the BMC is starting up',
  0xd3: 'the destination is unavailable',
  0xd4: 'the privilege of this user or session is too low',
  0xd5: 'the command is not supported in the present state',
  0xd6: 'the command is disabled',
  0xff: 'the BMC gives no reason',
};

/** The code in words, with the number: `the BMC is busy (0xc0)`. What commands and vendors have of their own is a number only. */
export function completionText(code: number): string {
  return `${TEXTS[code] ?? 'completion code'} (${hex(code)})`;
}

/** Status codes of Open Session and RAKP (IPMI 2.0, table 13-15). */
export const RAKP_STATUS = {
  ok: 0x00,
  outOfResources: 0x01,
  invalidSessionId: 0x02,
  invalidPayload: 0x03,
  invalidAuthentication: 0x04,
  invalidIntegrity: 0x05,
  noAuthenticationPayload: 0x06,
  noIntegrityPayload: 0x07,
  inactiveSession: 0x08,
  invalidRole: 0x09,
  unauthorizedRole: 0x0a,
  outOfResourcesForRole: 0x0b,
  invalidNameLength: 0x0c,
  unauthorizedName: 0x0d,
  unauthorizedGuid: 0x0e,
  invalidCode: 0x0f,
  invalidConfidentiality: 0x10,
  noSuite: 0x11,
  illegalParameter: 0x12,
} as const;

const RAKP_TEXTS: Readonly<Record<number, string>> = {
  0x01: 'it has no free session',
  0x02: 'it does not know the session',
  0x03: 'it does not know the payload',
  0x04: 'it does not speak the authentication algorithm',
  0x05: 'it does not speak the integrity algorithm',
  0x06: 'it found no authentication payload that fits',
  0x07: 'it found no integrity payload that fits',
  0x08: 'the session is not active',
  0x09: 'it does not know the privilege level',
  0x0a: 'the user may not have the privilege level that was asked for',
  0x0b: 'it has no free session at this privilege level',
  0x0c: "the user name's length is invalid",
  0x0d: 'it does not know the user',
  0x0e: 'it does not know the GUID',
  0x0f: 'a code is wrong',
  0x10: 'it does not speak the encryption algorithm',
  0x11: 'it has no cipher suite of the algorithms that were proposed',
  0x12: 'a parameter is illegal',
};

/** The status in words, with the number: `it does not know the user (0x0d)`. */
export function rakpStatusText(status: number): string {
  return `${RAKP_TEXTS[status] ?? 'status'} (${hex(status)})`;
}

/** Two digits: `0xc0`. */
export function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
