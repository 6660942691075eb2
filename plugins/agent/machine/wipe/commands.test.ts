import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ataSecurity } from './ata-security.ts';
import { ataThroughScsi, scsiProblem } from './ata-through-scsi.ts';
import { controllerAbilities, nvmeAdminStruct, nvmeStatusText, sanitizeCommand, sanitizeState } from './nvme-commands.ts';

const at = { block: 0x1000n, sense: 0x2000n, data: 0x3000n };

describe('ATA through SCSI', () => {
  test('IDENTIFY DEVICE is PIO in, one sector, counted in the count field', () => {
    const { block, header } = ataThroughScsi({ command: 0xec, receives: true }, at);
    expect([...block]).toEqual([0x85, 4 << 1, 0x0e, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xec, 0]);
    const bytes = Buffer.from(header);
    expect(bytes.length).toBe(88);
    expect([bytes.readInt32LE(0), bytes.readInt32LE(4), bytes[8], bytes[9], bytes.readUInt32LE(12)]).toEqual([0x53, -3, 16, 64, 512]);
    expect([bytes.readBigUInt64LE(16), bytes.readBigUInt64LE(24), bytes.readBigUInt64LE(32)]).toEqual([0x3000n, 0x1000n, 0x2000n]);
  });

  test('SECURITY ERASE UNIT is PIO out and has the time it takes; PREPARE moves no data', () => {
    const erase = ataThroughScsi({ command: 0xf4, sends: new Uint8Array(512), timeoutMs: 7_200_000 }, at);
    expect([...erase.block.subarray(1, 3)]).toEqual([5 << 1, 0x06]);
    expect([Buffer.from(erase.header).readInt32LE(4), Buffer.from(erase.header).readUInt32LE(40)]).toEqual([-2, 7_200_000]);
    const prepare = ataThroughScsi({ command: 0xf3 }, at);
    expect([...prepare.block.subarray(1, 3), prepare.block[6]]).toEqual([3 << 1, 0, 0]);
    expect(Buffer.from(prepare.header).readInt32LE(4)).toBe(-1);
  });

  test.each([
    ['a good one', { status: 0, host: 0, driver: 0 }, undefined],
    ['sense data that only informs', { status: 0, host: 0, driver: 8 }, undefined],
    ['a time-out', { status: 0, host: 3, driver: 0 }, 'did not answer in time'],
    ['a controller that failed', { status: 0, host: 7, driver: 0 }, 'host status 7'],
    ['an aborted command', { status: 2, host: 0, driver: 8 }, 'aborted'],
  ])('the answer to %s', (...[, { status, host, driver }, words]) => {
    const header = Buffer.alloc(88);
    header[64] = status;
    header.writeUInt16LE(host, 68);
    header.writeUInt16LE(driver, 70);
    const problem = scsiProblem({ header, sense: Uint8Array.from([0x72, 0x0b]) });
    expect(problem).toEqual(words && expect.stringContaining(words));
  });

  test('any answer is read without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 88, maxLength: 88 }), fc.uint8Array({ maxLength: 64 }), (header, sense) => {
        scsiProblem({ header, sense });
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (identify) => void ataSecurity(identify)));
  });
});

test.each([
  [0, undefined],
  [1, 120_000],
  [0xff, undefined],
  [0x8000 | 600, 72_000_000],
  [0xffff, undefined],
])('an erase time of 0x%s', (word, expected) => {
  const identify = Buffer.alloc(512);
  identify.writeUInt16LE(word, 89 * 2);
  expect(ataSecurity(identify).eraseMs).toBe(expected);
});

describe('NVMe', () => {
  test('a command lies where struct nvme_admin_cmd has it', () => {
    const bytes = Buffer.from(nvmeAdminStruct({ opcode: 0x02, nsid: 0xffffffff, cdw10: 0x007f0081, replyBytes: 512, timeoutMs: 5 }, 0xabcdn));
    expect(bytes.length).toBe(72);
    expect([bytes[0], bytes.readUInt32LE(4), bytes.readBigUInt64LE(24), bytes.readUInt32LE(36)]).toEqual([2, 0xffffffff, 0xabcdn, 512]);
    expect([bytes.readUInt32LE(40), bytes.readUInt32LE(64)]).toEqual([0x007f0081, 5]);
  });

  test.each([
    [0b110, 'block erase', 2],
    [0b101, 'crypto erase', 4],
    [0b100, 'overwrite', 3 | (1 << 4)],
  ])('SANICAP %i means %s', (sanicap, action, cdw10) => {
    const identify = Buffer.alloc(4096);
    identify.writeUInt32LE(sanicap, 328);
    const { sanitize } = controllerAbilities(identify);
    expect([sanitize, sanitizeCommand(sanitize!).cdw10]).toEqual([action, cdw10]);
  });

  test('the states of a sanitize', () => {
    const log = (progress: number, status: number) => Uint8Array.from([progress & 0xff, progress >> 8, status, 0]);
    expect([0, 1, 2, 3, 4, 7].map((status) => sanitizeState(log(0x8000, status)).state)).toEqual([
      'none',
      'done',
      'running',
      'failed',
      'done',
      'failed',
    ]);
    expect(sanitizeState(log(0x8000, 2)).share).toBe(0.5);
  });

  test('a refusal is words and numbers', () => {
    expect(nvmeStatusText(0x0001)).toBe('the controller refuses the command: it does not know it (status type 0, code 0x01)');
    expect(nvmeStatusText(0x02ff)).toContain('type 2, code 0xff');
  });
});
