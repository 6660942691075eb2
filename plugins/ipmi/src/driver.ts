import { isIPv6 } from 'node:net';
import type { Logger, PowerDriver, PowerSession, Server } from '@sidero/core';
import { bmcFailure, type Subject } from './client/bmc-failure.ts';
import { Chassis } from './client/chassis.ts';
import { BmcConnection, type ConnectionTerms } from './client/connection.ts';
import { type DropReason, waitsOf } from './client/exchange.ts';
import { probe } from './client/probe.ts';
import type { Endpoint } from './client/udp.ts';
import { Users } from './client/users.ts';
import type { CipherSuite } from './wire/cipher-suite.ts';
import { USER_NAME_BYTES } from './wire/rakp.ts';
import { RMCP_PORT } from './wire/rmcp.ts';
import { PASSWORD_BYTES } from './wire/user-commands.ts';

/** How BMCs are talked to. */
export interface IpmiOptions {
  readonly cipherSuites: readonly CipherSuite['id'][];
  readonly privilege: 'administrator' | 'operator';
  /** Before the first repetition. */
  readonly timeoutMs: number;
  readonly retries: number;
}

/** What the driver needs of the system. */
export interface IpmiContext {
  readonly log: Logger;
  dropped(reason: DropReason): void;
}

/** The power driver of IPMI over LAN. */
export function ipmiDriver(options: IpmiOptions, context: IpmiContext): PowerDriver {
  // The suite that a device took last: the next session begins with it.
  const suites = new Map<string, CipherSuite['id']>();
  return {
    name: 'ipmi',
    claims: (server) => Boolean(server.spec?.bmc?.endpoint) && ['', 'lanplus', 'lan'].includes(server.spec?.bmc?.interface ?? ''),
    deviceOf: (server) => deviceOf(endpointOf(server)),
    async open(server, { login, signal }) {
      const device = deviceOf(endpointOf(server));
      const subject = { server: server.metadata.name, device };
      const kind = interfaceOf(server, subject);
      if (!login) throw bmcFailure(subject, 'SIDERO_BMC_AUTH', 'spec.bmc names no user and password');
      checkLengths(subject, { user: login.user, password: login.pass, limit: PASSWORD_BYTES[kind === 'lan' ? '1.5' : '2.0'] });
      const terms: ConnectionTerms = {
        subject,
        endpoint: endpointOf(server),
        interface: kind,
        user: login.user,
        password: login.pass,
        privilege: options.privilege,
        suites: firstOf(options.cipherSuites, suites.get(device)),
        waitsMs: waitsOf(options),
        dropped: context.dropped,
      };
      const bmc = await BmcConnection.open(terms, signal);
      if (bmc.session?.suite) suites.set(device, bmc.session.suite.id);
      return powerSession(bmc, terms, context.log);
    },
  };
}

function powerSession(bmc: BmcConnection, { subject, user, interface: kind }: ConnectionTerms, log: Logger): PowerSession {
  const chassis = new Chassis(bmc, subject);
  const users = new Users(bmc, subject);
  const verbs: PowerSession = {
    on: (signal) => chassis.on(signal),
    isOn: (signal) => chassis.isOn(signal),
    off: (signal) => chassis.off(signal),
    cycle: (signal) => chassis.cycle(signal),
    soft: (signal) => chassis.soft(signal),
    async networkBootOnce(mode, signal) {
      const doubt = await chassis.networkBootOnce(mode, signal);
      if (doubt) log.info({ server: subject.server, driver: 'ipmi', device: subject.device, doubt }, 'network boot ordered, not all of it verified');
    },
    probe: (signal) => probe(bmc, chassis, signal),
    [Symbol.asyncDispose]: () => bmc[Symbol.asyncDispose](),
  };
  // IPMI 1.5 encrypts nothing: a new password would be there for all to read.
  return kind === 'lan' ? verbs : { ...verbs, changePassword: (pass, signal) => users.changePassword(user, pass, signal) };
}

function interfaceOf(server: Server, subject: Subject): 'lanplus' | 'lan' {
  const named = server.spec?.bmc?.interface || 'lanplus';
  if (named === 'lanplus' || named === 'lan') return named;
  throw bmcFailure(subject, 'SIDERO_BMC_UNSUPPORTED', `spec.bmc.interface "${named}" is not spoken here: lanplus and lan are`);
}

function checkLengths(subject: Subject, { user, password, limit }: { user: string; password: string; limit: number }): void {
  const [userBytes, passwordBytes] = [Buffer.byteLength(user), Buffer.byteLength(password)];
  if (userBytes > USER_NAME_BYTES) {
    throw bmcFailure(subject, 'SIDERO_BMC_AUTH', `the user name is ${userBytes} bytes long, and IPMI allows ${USER_NAME_BYTES}`);
  }
  if (passwordBytes > limit) {
    throw bmcFailure(subject, 'SIDERO_BMC_AUTH', `the password is ${passwordBytes} bytes long, and this interface allows ${limit}`);
  }
}

function endpointOf({ spec }: Server): Endpoint {
  const bmc = spec?.bmc;
  return { host: (bmc?.endpoint ?? '').replace(/^\[(.*)\]$/, '$1'), port: bmc?.port || RMCP_PORT };
}

function deviceOf({ host, port }: Endpoint): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

function firstOf<T>(all: readonly T[], first: T | undefined): readonly T[] {
  return first !== undefined && all.includes(first) ? [first, ...all.filter((each) => each !== first)] : all;
}
