import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aStructure, aSystem, SMBIOS_3_2 } from './machine.fixture.ts';
import { parseSmbios, systemUuid, versionOf } from './smbios.ts';
import { baseboardFacts, computeFacts, describesBmc, firmwareFacts, memoryFacts, systemFacts } from './smbios-facts.ts';

const BYTES = '00112233445566778899aabbccddeeff';
const SMBIOS_2_4 = Buffer.from([0x5f, 0x53, 0x4d, 0x5f, 0, 0x1f, 2, 4]);
const parsed = (...structures: Uint8Array[]) => parseSmbios(SMBIOS_3_2, Buffer.concat(structures));

test('from 2.6 on the first three groups of the UUID are little-endian', () => {
  expect(systemUuid(parseSmbios(SMBIOS_3_2, aSystem(BYTES)))).toBe('33221100-5544-7766-8899-aabbccddeeff');
});

test('before 2.6 the bytes of the UUID are in order', () => {
  expect(systemUuid(parseSmbios(SMBIOS_2_4, aSystem(BYTES)))).toBe('00112233-4455-6677-8899-aabbccddeeff');
});

test('a system structure too short for a UUID has none', () => {
  expect(systemUuid(parsed(aStructure(1, [1, 2, 3, 4, 0xaa], ['a'])))).toBeUndefined();
});

test('the last system structure wins', () => {
  const smbios = parsed(aSystem(BYTES, ['First']), aSystem(BYTES, ['Second']));
  expect(systemFacts(smbios).manufacturer).toBe('Second');
});

test('the system is told with its version, which the original leaves out', () => {
  expect(systemFacts(parsed(aSystem(BYTES)))).toEqual({
    uuid: '33221100-5544-7766-8899-aabbccddeeff',
    manufacturer: 'Dell Inc.',
    productName: 'PowerEdge R630',
    version: '1.0',
    serialNumber: '790H8D2',
    skuNumber: 'SKU',
    family: 'PowerEdge',
  });
});

test.each([
  ['an OEM placeholder', 'To Be Filled By O.E.M.'],
  ['invalid UTF-8', '\xff\xfe'],
  ['blanks', '   '],
])('%s is no text', (_what, text) => {
  expect(systemFacts(parsed(aSystem(BYTES, [text]))).manufacturer).toBe('');
});

test('a string number beyond the strings is no text', () => {
  expect(systemFacts(parsed(aSystem(BYTES, ['Only one']))).productName).toBe('');
});

test.each([
  [SMBIOS_3_2, 0x0302],
  [SMBIOS_2_4, 0x0204],
  [Buffer.from([0x5f, 0x44, 0x4d, 0x49, 0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23]), 0x0203],
  [Buffer.from('nonsense'), 0],
  [Buffer.alloc(0), 0],
])('the version of %o is %i', (entryPoint, version) => {
  expect(versionOf(entryPoint)).toBe(version);
});

/** Type 4 with the offsets counted from the type byte. */
function aProcessor(fields: Record<number, number>, length = 0x30): Uint8Array {
  return aStructure(
    4,
    Array.from({ length: length - 4 }, (_, index) => fields[index + 4] ?? 0),
    ['Intel', 'Xeon', 'SN'],
  );
}

test('empty sockets are left out and totals added up', () => {
  const populated = { 0x07: 1, 0x10: 2, 0x20: 3, 0x16: 0x28, 0x17: 0x0a, 0x18: 0x41, 0x23: 8, 0x25: 16 };
  expect(computeFacts(parsed(aProcessor(populated), aProcessor({ 0x18: 0x00, 0x23: 8 }), aProcessor(populated)))).toEqual({
    processorCount: 2,
    totalCoreCount: 16,
    totalThreadCount: 32,
    processors: Array.from({ length: 2 }, () => ({
      manufacturer: 'Intel',
      productName: 'Xeon',
      serialNumber: 'SN',
      speed: 2600,
      coreCount: 8,
      threadCount: 16,
    })),
  });
});

test('a count of 255 is in the word that SMBIOS 3.0 added', () => {
  const smbios = parsed(aProcessor({ 0x18: 0x41, 0x23: 0xff, 0x25: 0xff, 0x2a: 0x00, 0x2b: 0x01, 0x2e: 0x00, 0x2f: 0x02 }));
  expect(computeFacts(smbios).processors?.[0]).toMatchObject({ coreCount: 256, threadCount: 512 });
});

test('a processor structure of SMBIOS 2.1 has no counts, and does no harm', () => {
  expect(computeFacts(parsed(aProcessor({ 0x18: 0x41 }, 0x1a))).processors?.[0]).toMatchObject({ coreCount: 0, threadCount: 0 });
});

/** Type 17: size, extended size, type and speed. */
function aModule(given: { size: number; extended?: number; type?: number; speed?: number; extendedSpeed?: number }): Uint8Array {
  const area = Buffer.alloc(0x5c);
  area.writeUInt16LE(given.size, 0x0c);
  area.writeUInt8(given.type ?? 0x1a, 0x12);
  area.writeUInt16LE(given.speed ?? 2133, 0x15);
  area.set([1, 2, 0, 3], 0x17);
  area.writeUInt32LE(given.extended ?? 0, 0x1c);
  area.writeUInt32LE(given.extendedSpeed ?? 0, 0x54);
  return aStructure(17, [...area.subarray(4)], ['Micron', 'SERIAL', 'PART']);
}

test('a module of 16 GiB is told with its names', () => {
  expect(memoryFacts(parsed(aModule({ size: 16_384 })))).toEqual({
    moduleCount: 1,
    totalSize: 16_384,
    modules: [{ manufacturer: 'Micron', productName: 'PART', serialNumber: 'SERIAL', type: 'DDR4', size: 16_384, speed: 2133 }],
  });
});

test.each([64, 96, 128])('a module of %i GiB is not cut to 16 bits', (gib) => {
  expect(memoryFacts(parsed(aModule({ size: 0x7fff, extended: gib * 1024 }))).totalSize).toBe(gib * 1024);
});

test('a size in kB is turned into MB', () => {
  expect(memoryFacts(parsed(aModule({ size: 0x8000 | 2048 }))).modules?.[0]?.size).toBe(2);
});

test('empty slots and unknown sizes are left out', () => {
  expect(memoryFacts(parsed(aModule({ size: 0 }), aModule({ size: 0xffff }))).moduleCount).toBe(0);
});

test('a speed of 65535 is in the field that SMBIOS 3.3 added', () => {
  expect(memoryFacts(parsed(aModule({ size: 1, speed: 0xffff, extendedSpeed: 70_000 }))).modules?.[0]?.speed).toBe(70_000);
});

test.each([
  [0x13, 'DDR2'],
  [0x18, 'DDR3'],
  [0x1a, 'DDR4'],
  [0x22, 'DDR5'],
  [0xee, 'Unknown'],
])('memory type %i is %s', (type, name) => {
  expect(memoryFacts(parsed(aModule({ size: 1, type }))).modules?.[0]?.type).toBe(name);
});

test('firmware, board and BMC are told', () => {
  const smbios = parsed(
    aStructure(0, [1, 2, 0, 0xe0, 3], ['SeaBIOS', '1.16', '04/01/2014']),
    aStructure(2, [1, 2, 3, 4], ['ACME', 'Board', 'v1', 'B1']),
    aStructure(38, [1, 0x20]),
    aStructure(127, []),
  );
  expect(firmwareFacts(smbios, 'uefi')).toEqual({ vendor: 'SeaBIOS', version: '1.16', releaseDate: '04/01/2014', bootMode: 'uefi' });
  expect(baseboardFacts(smbios)).toEqual({ manufacturer: 'ACME', productName: 'Board', serialNumber: 'B1' });
  expect(describesBmc(smbios)).toBe(true);
});

test('what stands after the end of the table is not read', () => {
  expect(parsed(aStructure(127, []), aSystem(BYTES)).structures).toHaveLength(1);
});

test('any bytes are parsed without a crash', () => {
  const everything = (entryPoint: Uint8Array, table: Uint8Array) => {
    const smbios = parseSmbios(entryPoint, table);
    return [
      systemFacts(smbios),
      computeFacts(smbios),
      memoryFacts(smbios),
      firmwareFacts(smbios, 'bios'),
      baseboardFacts(smbios),
      describesBmc(smbios),
    ];
  };
  const anyStructure = fc.record({ type: fc.constantFrom(0, 1, 2, 4, 17, 38), length: fc.nat(255), rest: fc.uint8Array({ maxLength: 120 }) });
  const table = fc
    .array(
      anyStructure.map(({ type, length, rest }) => Buffer.from([type, length, 0, 0, ...rest])),
      { maxLength: 8 },
    )
    .map((all) => Buffer.concat(all));
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.oneof(table, fc.uint8Array({ maxLength: 300 })),
      (entryPoint, bytes) => void everything(entryPoint, bytes),
    ),
  );
});

test('any well-formed structure is found, whatever its strings', () => {
  const texts = fc.array(fc.string({ unit: fc.constantFrom('a', 'B', '7', '-'), minLength: 1, maxLength: 12 }), { maxLength: 5 });
  const structures = fc.array(fc.tuple(fc.integer({ min: 0, max: 126 }), fc.array(fc.nat(255), { maxLength: 60 }), texts), { maxLength: 10 });
  fc.assert(
    fc.property(structures, (given) => {
      const found = parsed(...given.map(([type, area, strings]) => aStructure(type, area, strings))).structures;
      expect(found.map(({ type, strings }) => ({ type, strings }))).toEqual(given.map(([type, , strings]) => ({ type, strings })));
    }),
  );
});
