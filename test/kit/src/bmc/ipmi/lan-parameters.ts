import type { CipherSuite } from '@sidero/plugin-ipmi/protocol';

/** Numbers of LAN parameters (IPMI 2.0, table 23-4). */
const NUMBER = {
  setInProgress: 0,
  authTypeSupport: 1,
  authTypeEnables: 2,
  address: 3,
  source: 4,
  mac: 5,
  subnetMask: 6,
  gateway: 12,
  gatewayMac: 13,
  backupGateway: 14,
  backupGatewayMac: 15,
  community: 16,
  suiteCount: 22,
  suites: 23,
  suitePrivileges: 24,
} as const;

const CHANGEABLE: readonly number[] = [NUMBER.setInProgress, NUMBER.address, NUMBER.source, NUMBER.subnetMask, NUMBER.gateway];
const STATIC = 1;

export interface LanSettings {
  readonly address: string;
  /** `52:54:00:be:ef:01`. */
  readonly mac: string;
  /** IPMI 1.5 authentication types: bit n is type n. */
  readonly authTypes: number;
  readonly suites: readonly CipherSuite['id'][];
}

/** The LAN parameters of a simulated BMC. What is set is kept and told, and changes nothing else. */
export class LanParameters {
  readonly #values: Map<number, Uint8Array>;

  constructor({ address, mac, authTypes, suites }: LanSettings) {
    this.#values = new Map<number, Uint8Array>([
      [NUMBER.setInProgress, Uint8Array.of(0)],
      [NUMBER.authTypeSupport, Uint8Array.of(authTypes)],
      [NUMBER.authTypeEnables, new Uint8Array(5).fill(authTypes)],
      [NUMBER.address, Uint8Array.from(address.split('.'), Number)],
      [NUMBER.source, Uint8Array.of(STATIC)],
      [NUMBER.mac, Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16))],
      [NUMBER.subnetMask, Uint8Array.of(255, 0, 0, 0)],
      [NUMBER.gateway, new Uint8Array(4)],
      [NUMBER.gatewayMac, new Uint8Array(6)],
      [NUMBER.backupGateway, new Uint8Array(4)],
      [NUMBER.backupGatewayMac, new Uint8Array(6)],
      [NUMBER.community, Uint8Array.from(Buffer.from('public'.padEnd(18, '\0')))],
      [NUMBER.suiteCount, Uint8Array.of(suites.length)],
      [NUMBER.suites, Uint8Array.of(0, ...suites)],
      // A nibble each: administrator for all.
      [NUMBER.suitePrivileges, Uint8Array.of(0, ...new Uint8Array(8).fill(0x44))],
    ]);
  }

  get(parameter: number): Uint8Array | undefined {
    return this.#values.get(parameter);
  }

  set(parameter: number, value: Uint8Array): 'ok' | 'notSupported' | 'readOnly' {
    if (!this.#values.has(parameter)) return 'notSupported';
    if (!CHANGEABLE.includes(parameter)) return 'readOnly';
    this.#values.set(parameter, value);
    return 'ok';
  }
}
