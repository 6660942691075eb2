import { BmcRefusal, getChannelAccess, getChannelInfo, getLanParameter, type LocalBmc, unlessRefused } from './bmc-commands.ts';

/** Where a BMC is reached. */
export interface BmcLan {
  /** Channel number of that link. */
  readonly channel: number;
  readonly ip: string;
  /** RMCP port. */
  readonly port: number;
}

const FIRST_CHANNEL = 1;
const LAST_CHANNEL = 15;
const MEDIUM_802_3_LAN = 0x04;
const DEFAULT_PORT = 623;

/** Numbers of LAN configuration parameters (IPMI 2.0, table 23-4). */
const IPV4_ADDRESS = 3;
const PRIMARY_RMCP_PORT = 8;
const IPV6_STATIC_ADDRESS = 56;
const IPV6_DYNAMIC_ADDRESS = 59;
/** Of each kind of IPv6 address this many are looked at; the first that is in force counts. */
const IPV6_LOOKS = 4;

/**
 * The first LAN channel that has an address, whichever number its vendor chose: IPv4, else IPv6.
 *
 * @throws BmcRefusal when there is none
 */
export async function findLan(bmc: LocalBmc): Promise<BmcLan> {
  for (const channel of await lanChannels(bmc)) {
    const ip = (await ipv4Of(bmc, channel)) ?? (await ipv6Of(bmc, channel));
    if (ip) return { channel, ip, port: await portOf(bmc, channel) };
  }
  throw new BmcRefusal('the LAN of the BMC has no address yet; give it one, or DHCP, in its set-up');
}

async function lanChannels(bmc: LocalBmc): Promise<readonly number[]> {
  const lans: number[] = [];
  let answers = 0;
  for (let channel = FIRST_CHANNEL; channel <= LAST_CHANNEL; channel++) {
    const info = await unlessRefused(bmc.ask('Get Channel Info', getChannelInfo(channel)));
    if (!info) continue;
    answers += 1;
    if (((info[1] ?? 0) & 0x7f) === MEDIUM_802_3_LAN) lans.push(channel);
  }
  // BMCs of IPMI 1.0 know no channels; their LAN is what later got the number 1.
  if (answers === 0) return [FIRST_CHANNEL];
  if (lans.length === 0) throw new BmcRefusal('the BMC has no LAN', { isQuiet: true });
  return lans;
}

/** Without its first byte, the parameter's revision; undefined when it is refused or shorter than `length`. */
async function lanParameter(bmc: LocalBmc, given: Parameters<typeof getLanParameter>, length: number): Promise<readonly number[] | undefined> {
  const reply = await unlessRefused(bmc.ask('Get LAN Configuration Parameters', getLanParameter(...given)));
  return reply && reply.length > length ? reply.slice(1) : undefined;
}

async function ipv4Of(bmc: LocalBmc, channel: number): Promise<string | undefined> {
  const bytes = (await lanParameter(bmc, [channel, IPV4_ADDRESS], 4))?.slice(0, 4);
  // What a BMC without lease gives itself is reached from its own link only.
  const isUsable = bytes && bytes.some((byte) => byte !== 0) && !(bytes[0] === 169 && bytes[1] === 254);
  return isUsable ? bytes.join('.') : undefined;
}

async function ipv6Of(bmc: LocalBmc, channel: number): Promise<string | undefined> {
  for (const parameter of [IPV6_STATIC_ADDRESS, IPV6_DYNAMIC_ADDRESS])
    for (let set = 0; set < IPV6_LOOKS; set++) {
      // Set selector, source, address, prefix length, status.
      const value = await lanParameter(bmc, [channel, parameter, set], 20);
      if (!value) break;
      const ip = globalIpv6(value.slice(2, 18));
      if (ip && value[19] === IPV6_ACTIVE) return ip;
    }
  return undefined;
}

const IPV6_ACTIVE = 0;

/** In canonical form; undefined when it is unspecified, loopback, link-local or multicast. */
export function globalIpv6(bytes: readonly number[]): string | undefined {
  const [first = 0, second = 0] = bytes;
  if (bytes.slice(0, 15).every((byte) => byte === 0) || first === 0xff || (first === 0xfe && (second & 0xc0) === 0x80)) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) => (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

async function portOf(bmc: LocalBmc, channel: number): Promise<number> {
  const bytes = await lanParameter(bmc, [channel, PRIMARY_RMCP_PORT], 2);
  return (bytes?.[0] ?? 0) | ((bytes?.[1] ?? 0) << 8) || DEFAULT_PORT;
}

const ACCESS_MODES: Readonly<Record<number, string>> = { 0: 'disabled', 1: 'open before the operating system starts only' };
const ADMINISTRATOR = 4;

/** Why nobody will log in as administrator over this channel, whatever the login; undefined when the BMC does not say so. */
export async function obstacleOn(bmc: LocalBmc, channel: number): Promise<string | undefined> {
  const access = await unlessRefused(bmc.ask('Get Channel Access', getChannelAccess(channel)));
  if (!access || access.length < 2) return undefined;
  const mode = ACCESS_MODES[access[0]! & 0x07];
  if (mode) return `IPMI over LAN is ${mode} on channel ${channel} of the BMC`;
  const limit = access[1]! & 0x0f;
  if (limit > 0 && limit < ADMINISTRATOR) return `channel ${channel} of the BMC lets nobody be administrator (its privilege limit is ${limit})`;
  return undefined;
}
