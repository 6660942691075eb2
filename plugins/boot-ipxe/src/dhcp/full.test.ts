import { beforeEach, describe, expect, test } from 'vitest';
import { fullReply, type FullServer } from './full.ts';
import { LeaseBook } from './lease-book.ts';
import { addressBytes, addressOption, DHCP_MESSAGE, type DhcpPacket, messageTypeOf, textOption } from './packet.ts';
import { AddressPool } from './pool.ts';
import { aRequest } from './request.fixture.ts';

const { discover, offer, request, decline, ack, nak, release, inform } = DHCP_MESSAGE;
const subnet = { address: '10.0.0.1', netmask: '255.255.255.0' };
const hex = (address: string) => addressBytes(address).toString('hex');

let nowMs = 0;
let neighbours: Map<string, string>;
let server: FullServer;
let book: LeaseBook;

beforeEach(() => {
  nowMs = 1_000_000;
  neighbours = new Map();
  book = new LeaseBook();
  server = aServer();
});

function aServer(given: Partial<FullServer> & { range?: readonly [string, string] } = {}): FullServer {
  const { range = ['10.0.0.10', '10.0.0.12'], ...rest } = given;
  const pool = new AddressPool(book, { subnet, range, leaseSeconds: 3600, excluded: ['10.0.0.1'], neighbours: () => neighbours, nowMs: () => nowMs });
  return {
    pool,
    subnet,
    authority: '10.0.0.1:8081',
    router: '10.0.0.254',
    dns: ['10.0.0.1', '1.1.1.1'],
    leaseSeconds: 3600,
    isAuthoritative: false,
    ...rest,
  };
}

type Given = Parameters<typeof aRequest>[0] & { wish?: string; server?: string };

function ask(type: number, { wish, server: chosen, ...given }: Given = {}): DhcpPacket | undefined {
  const options = { ...(wish && { 50: hex(wish) }), ...(chosen && { 54: hex(chosen) }), ...given.options };
  return fullReply(aRequest({ ...given, type, options }), server).reply;
}

/** Message type and address of what the server answers. */
function asked(type: number, given: Given = {}): [number, string] | undefined {
  const reply = ask(type, given);
  return reply && [messageTypeOf(reply), reply.yiaddr];
}

/** Takes a client through DISCOVER and REQUEST. */
function leased(mac: string): string {
  const wish = ask(discover, { mac })!.yiaddr;
  expect(asked(request, { mac, wish, server: '10.0.0.1' })).toEqual([ack, wish]);
  return wish;
}

const [A, B, C, D] = ['020000000001', '020000000002', '020000000003', '020000000004'];

describe('a client that discovers', () => {
  test('is offered the first free address, with all it needs', () => {
    const reply = ask(discover, { options: { 61: '01525400123456' } })!;
    expect(reply).toMatchObject({ op: 'reply', yiaddr: '10.0.0.10', ciaddr: '0.0.0.0', transaction: 0x01020304 });
    const options = Object.fromEntries([...reply.options].map(([option, value]) => [option, Buffer.from(value).toString('hex')]));
    expect(options).toEqual({
      53: '02',
      54: '0a000001',
      51: '00000e10',
      58: '00000708',
      59: '00000c4e',
      1: 'ffffff00',
      28: '0a0000ff',
      3: '0a0000fe',
      6: '0a00000101010101',
      61: '01525400123456',
    });
  });

  test('is offered what it wishes when that is free', () => expect(asked(discover, { wish: '10.0.0.12' })).toEqual([offer, '10.0.0.12']));

  test.each(['10.0.0.1', '10.0.0.99', '192.168.0.1', '0.0.0.0', '255.255.255.255'])('is offered another one when it wishes %s', (wish) => {
    expect(asked(discover, { wish })).toEqual([offer, '10.0.0.10']);
  });

  test('is offered the same address each time, and another client another', () => {
    expect([A, B, A].map((mac) => ask(discover, { mac })?.yiaddr)).toEqual(['10.0.0.10', '10.0.0.11', '10.0.0.10']);
  });

  test('gets its old address back, even long after its lease has ended', () => {
    leased(A);
    const address = leased(B);
    nowMs += 86_400_000;
    expect(ask(discover, { mac: B })?.yiaddr).toBe(address);
  });

  test('does not get an address that the kernel has seen under another MAC address', () => {
    neighbours.set('10.0.0.10', '66:66:66:66:66:66').set('10.0.0.11', '02:00:00:00:00:01');
    expect(ask(discover, { mac: A })?.yiaddr).toBe('10.0.0.11');
  });

  test('gets nothing, and the log says so, when every address is taken; the longest unused one once a lease has ended', () => {
    leased(A);
    nowMs += 1000;
    leased(B);
    leased(C);
    expect(fullReply(aRequest({ mac: D }), server)).toEqual({
      reply: undefined,
      reason: 'every address is taken',
      changed: false,
      isExhausted: true,
    });
    nowMs += 3_600_000;
    expect(ask(discover, { mac: D })?.yiaddr).toBe('10.0.0.10');
  });

  test('an offer nobody takes is free again after a minute', () => {
    server = aServer({ range: ['10.0.0.10', '10.0.0.10'] });
    ask(discover, { mac: A });
    expect(ask(discover, { mac: B })).toBeUndefined();
    nowMs += 60_000;
    expect(ask(discover, { mac: B })?.yiaddr).toBe('10.0.0.10');
  });

  test('is one client, whether it sends its MAC address as identifier or none', () => {
    expect(ask(discover, { options: { 61: '01525400123456' } })?.yiaddr).toBe(ask(discover)?.yiaddr);
    expect(ask(discover, { options: { 61: 'ff00112233' } })?.yiaddr).toBe('10.0.0.11');
  });

  test('that is relayed from another network is left to others', () => {
    expect(ask(discover, { giaddr: '10.9.0.1' })).toBeUndefined();
    expect(ask(discover, { giaddr: '10.0.0.77' })).toMatchObject({ giaddr: '10.0.0.77' });
  });
});

describe('a client that requests', () => {
  test('what it was offered has it (selecting)', () => {
    expect(asked(discover)).toEqual([offer, '10.0.0.10']);
    expect(asked(request, { wish: '10.0.0.10', server: '10.0.0.1' })).toEqual([ack, '10.0.0.10']);
    expect(book.at('10.0.0.10')).toMatchObject({ state: 'bound', mac: '52:54:00:12:34:56', expiresMs: nowMs + 3_600_000 });
  });

  test('from another server gets no answer, and its offer is free again', () => {
    asked(discover, { mac: A });
    expect(asked(request, { mac: A, wish: '10.0.0.10', server: '10.0.0.7' })).toBeUndefined();
    expect(ask(discover, { mac: B })?.yiaddr).toBe('10.0.0.10');
  });

  test('what another client has is refused', () => {
    const wish = leased(A);
    expect(asked(request, { mac: B, wish, server: '10.0.0.1' })).toEqual([nak, '0.0.0.0']);
  });

  test('its old address after a reboot has it again (init-reboot)', () => {
    const wish = leased(A);
    expect(asked(request, { mac: A, wish })).toEqual([ack, wish]);
  });

  test('an address of ours that nobody has, has it, though we forgot it (init-reboot)', () => {
    expect(asked(request, { wish: '10.0.0.11' })).toEqual([ack, '10.0.0.11']);
  });

  test('another address of ours than it has is refused (init-reboot)', () => {
    leased(A);
    expect(asked(request, { mac: A, wish: '10.0.0.12' })).toEqual([nak, '0.0.0.0']);
  });

  test('an address of another network is refused only where we are the authority (init-reboot)', () => {
    expect(asked(request, { wish: '192.168.7.7' })).toBeUndefined();
    server = aServer({ isAuthoritative: true });
    expect(asked(request, { wish: '192.168.7.7' })).toEqual([nak, '0.0.0.0']);
  });

  test('its address for longer has it for longer (renewing, rebinding)', () => {
    const ciaddr = leased(A);
    nowMs += 1_800_000;
    const reply = ask(request, { mac: A, ciaddr })!;
    expect(reply).toMatchObject({ yiaddr: ciaddr, ciaddr });
    expect(book.at(ciaddr)?.expiresMs).toBe(nowMs + 3_600_000);
  });

  test('to renew an address somebody else has by now is refused', () => {
    const ciaddr = leased(A);
    nowMs += 3_600_001;
    book.set({ address: ciaddr, client: 'mac b', mac: 'b', state: 'bound', expiresMs: nowMs + 1000 });
    expect(asked(request, { mac: A, ciaddr })).toEqual([nak, '0.0.0.0']);
  });

  test('nothing at all gets no answer', () => expect(asked(request)).toBeUndefined());
});

describe('a client that', () => {
  test('declines an address is offered another, and nobody gets the first for a while', () => {
    const wish = leased(A);
    expect(fullReply(aRequest({ mac: A, type: decline, options: { 50: hex(wish), 54: hex('10.0.0.1') } }), server)).toMatchObject({
      reply: undefined,
      changed: true,
    });
    expect(ask(discover, { mac: A })?.yiaddr).toBe('10.0.0.11');
    expect(ask(discover, { mac: B, wish })?.yiaddr).toBe('10.0.0.12');
    nowMs += 600_001;
    expect(ask(discover, { mac: C, wish })).toMatchObject({ yiaddr: '10.0.0.11' });
  });

  test('declines what another client has, changes nothing', () => {
    const wish = leased(A);
    expect(fullReply(aRequest({ mac: B, type: decline, options: { 50: hex(wish) } }), server).changed).toBe(false);
    expect(book.at(wish)).toMatchObject({ state: 'bound' });
  });

  test('releases its address gets it again unless it is needed', () => {
    const ciaddr = leased(A);
    expect(asked(release, { mac: B, ciaddr })).toBeUndefined();
    expect(book.at(ciaddr)?.expiresMs).toBeGreaterThan(nowMs);
    expect(asked(release, { mac: A, ciaddr })).toBeUndefined();
    expect(book.at(ciaddr)?.expiresMs).toBe(nowMs);
    expect(ask(discover, { mac: B })?.yiaddr).toBe('10.0.0.11');
    expect(ask(discover, { mac: A })?.yiaddr).toBe(ciaddr);
  });

  test('informs has its own address and gets settings without a lease', () => {
    const reply = ask(inform, { ciaddr: '10.0.0.200' })!;
    expect(reply).toMatchObject({ yiaddr: '0.0.0.0', ciaddr: '10.0.0.200' });
    expect(messageTypeOf(reply)).toBe(ack);
    expect(reply.options.has(51)).toBe(false);
    expect(addressOption(reply, 3)).toBe('10.0.0.254');
    expect(ask(inform, { ciaddr: '192.168.0.9' })).toBeUndefined();
  });

  test('is no client gets no answer', () => {
    expect(ask(offer)).toBeUndefined();
    expect(ask(discover, { op: 'reply' })).toBeUndefined();
    expect(ask(discover, { mac: '' })).toBeUndefined();
  });
});

describe('a machine that network-boots', () => {
  test('is told where, in the header and in options', () => {
    const reply = ask(discover, { options: { 93: '0007', 60: Buffer.from('PXEClient:Arch:00007').toString('hex') } })!;
    expect(reply).toMatchObject({ siaddr: '10.0.0.1', serverName: '10.0.0.1', bootFile: 'snp.efi' });
    expect([textOption(reply, 66), textOption(reply, 67), reply.options.has(60), reply.options.has(175)]).toEqual([
      '10.0.0.1',
      'snp.efi',
      false,
      false,
    ]);
  });

  test('as iPXE gets the boot script and need not wait for a proxy', () => {
    const reply = ask(discover, { options: { 93: '0000', 175: 'b00101' } })!;
    expect(reply.bootFile).toBe('http://10.0.0.1:8081/boot.ipxe');
    expect(Buffer.from(reply.options.get(175)!).toString('hex')).toBe('b00101');
  });

  test('over HTTP gets a URL from somebody who speaks HTTP', () => {
    const reply = ask(discover, { options: { 93: '0010' } })!;
    expect([reply.bootFile, textOption(reply, 60)]).toEqual(['http://10.0.0.1:8081/tftp/snp.efi', 'HTTPClient']);
  });

  test('what the relay sent comes last', () => {
    const reply = ask(discover, { giaddr: '10.0.0.77', options: { 82: '0102aabb', 93: '0000', 97: `00${'11'.repeat(16)}` } })!;
    expect([...reply.options.keys()].at(-1)).toBe(82);
  });
});
