import { describe, expect, test } from 'vitest';
import { DHCP_MESSAGE, DHCP_OPTION, decodeDhcp, encodeDhcp, messageTypeOf, textOption } from './packet.ts';
import { proxyReply } from './proxy.ts';
import { aRequest } from './request.fixture.ts';

const site = { address: '172.25.0.2', authority: '172.25.0.2:8081' };
const hex = (text: string) => Buffer.from(text).toString('hex');
const BIOS = { 93: '0000' };
const GUID = '0030313233343536373839616263646566';
const answer = (options: Record<number, string>, given: Parameters<typeof aRequest>[0] = {}) =>
  proxyReply(aRequest({ ...given, options }), site, false);
const fileOf = (options: Record<number, string>) => {
  const reply = answer(options);
  return reply && { 66: textOption(reply, 66), 67: textOption(reply, 67) };
};

/** The options as they lie on the wire. */
function wireOptions(options: Record<number, string>): string {
  const wire = encodeDhcp(answer(options)!).toString('hex');
  return wire.slice(480, wire.lastIndexOf('ff') + 2);
}

describe('a proxy offer', () => {
  test('to a BIOS, byte for byte', () => {
    const vendorClass = hex('PXEClient:Arch:00000:UNDI:002001');
    const request = Buffer.concat([
      Buffer.from('0101060001020304', 'hex'),
      Buffer.alloc(20),
      Buffer.from('525400123456', 'hex'),
      Buffer.alloc(202),
      Buffer.from(`63825363350101370401030f063c20${vendorClass}5d0200006111${GUID}ff`, 'hex'),
    ]);
    const reply = encodeDhcp(proxyReply(decodeDhcp(request), site, false)!).toString('hex');
    const head = `0201060001020304${'00'.repeat(12)}ac19000200000000525400123456${'00'.repeat(10 + 192)}63825363`;
    const offer = '350102' + '3604ac190002';
    expect(reply).toBe(`${head}${offer}3c20${vendorClass}420a3137322e32352e302e32430d756e64696f6e6c792e6b7078656111${GUID}ff`);
  });

  test('to UEFI HTTP boot is a URL in option 67, byte for byte', () => {
    const vendorClass = hex('HTTPClient:Arch:00016:UNDI:003016');
    expect(wireOptions({ 60: vendorClass, 93: '0010', 97: GUID })).toBe(
      `3501023604ac1900023c21${vendorClass}4323687474703a2f2f3137322e32352e302e323a383038312f746674702f736e702e6566696111${GUID}ff`,
    );
  });

  test.each([
    ['0000', 'undionly.kpxe'],
    ['0006', 'snp.efi'],
    ['0007', 'snp.efi'],
    ['0009', 'snp.efi'],
    ['000b', 'snp-arm64.efi'],
    ['00000007', 'snp.efi'],
    ['00070000', 'undionly.kpxe'],
    ['00070063', 'snp.efi'],
    ['0007ff', 'snp.efi'],
  ])('architectures %s get %s over TFTP', (architectures, file) => {
    expect(fileOf({ 93: architectures })).toEqual({ 66: '172.25.0.2', 67: file });
  });

  test.each([
    ['000f', 'http://172.25.0.2:8081/tftp/snp.efi'],
    ['0013', 'http://172.25.0.2:8081/tftp/snp-arm64.efi'],
  ])('architecture %s gets %s', (architectures, file) => expect(fileOf({ 93: architectures })).toEqual({ 66: undefined, 67: file }));

  test.each([
    ['user class as a text', { 77: hex('iPXE') }],
    ['user class after its length', { 77: `04${hex('iPXE')}` }],
    ['first of two user classes', { 77: `04${hex('iPXE')}03${hex('foo')}` }],
    ['options of its own', { 175: 'b00101' }],
  ])('iPXE, known by %s, gets the boot script, so that no build of it loads itself for ever', (_how, options) => {
    expect(fileOf({ ...BIOS, ...options })).toEqual({ 66: undefined, 67: 'http://172.25.0.2:8081/boot.ipxe' });
    expect(fileOf({ 93: '0007', ...options })?.[67]).toBe('http://172.25.0.2:8081/boot.ipxe');
  });

  test('without vendor class and machine identifier has the class PXEClient and 300 bytes', () => {
    const reply = answer(BIOS)!;
    expect(textOption(reply, DHCP_OPTION.vendorClass)).toBe('PXEClient');
    expect([...reply.options.keys()]).toEqual([53, 54, 60, 66, 67]);
    expect(encodeDhcp(reply)).toHaveLength(300);
  });

  test('gives back what relay and client sent', () => {
    const reply = answer(
      { 93: '000b', 82: '01020909', 61: '01525400123456' },
      { giaddr: '10.0.0.1', flags: 0x8000, hops: 3, seconds: 9, ciaddr: '10.0.0.9' },
    )!;
    expect(reply).toMatchObject({ giaddr: '10.0.0.1', flags: 0x8000, hops: 0, seconds: 0, ciaddr: '0.0.0.0', siaddr: '172.25.0.2' });
    expect([...reply.options.keys()]).toEqual([53, 54, 60, 61, 66, 67, 82]);
  });
});

describe('a proxy keeps silent', () => {
  test.each([
    ['a machine that does not network-boot', {}],
    ['an empty architecture', { 93: '' }],
    ['an architecture nobody knows', { 93: '000a' }],
    ['a machine identifier of another kind', { ...BIOS, 97: '01'.repeat(17) }],
    ['a machine identifier that is cut off', { ...BIOS, 97: '00' }],
  ])('on %s', (_case, options) => expect(answer(options)).toBeUndefined());

  test.each(Object.entries(DHCP_MESSAGE).filter(([name]) => name !== 'discover'))('on %s at port 67', (_name, type) => {
    expect(answer(BIOS, { type })).toBeUndefined();
  });

  test('on another server', () => expect(answer(BIOS, { op: 'reply' })).toBeUndefined());
});

test.each([
  ['request', DHCP_MESSAGE.request],
  ['inform', DHCP_MESSAGE.inform],
])('a %s to the boot service is acknowledged', (_name, type) => {
  const reply = proxyReply(aRequest({ type, options: { 93: '0007' } }), site, true)!;
  expect(messageTypeOf(reply)).toBe(DHCP_MESSAGE.ack);
  expect(textOption(reply, 67)).toBe('snp.efi');
  expect(proxyReply(aRequest({ options: { 93: '0007' } }), site, true)).toBeUndefined();
});
