import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../free-ports.ts';
import { type Child, startChild } from '../qemu/child.ts';
import type { Namespace } from '../qemu/namespace.ts';
import { type Chassis, ChassisControl } from './chassis.ts';
import { openIpmiChassis, startHook } from './chassis-hook.ts';
import { failure } from './errors.ts';
import { untilListening } from './listening.ts';
import { ipmiSimSupport } from './support.ts';
import { BMC_USERS, type BmcUser } from './users.ts';

export interface IpmiSimOptions {
  /** The machine whose power it has. */
  readonly chassis: Chassis;
  /** Where to run. Default: this host's network. */
  readonly space?: Namespace;
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** UDP. Default: a free one of 127.0.0.1; in another network it must be given. */
  readonly port?: number;
  /** From user number 2 on. Default `BMC_USERS`. */
  readonly users?: readonly BmcUser[];
  /** Its hardware address, as its LAN parameters give it. */
  readonly mac?: string;
  /** TCP port on which a QEMU machine (`ipmi-bmc-extern`) finds its own end of the BMC. Default: none. */
  readonly systemPort?: number;
}

/** A BMC in a process of its own. */
export interface BmcProcess extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** The power switch: what was ordered so far, and what is to be booted next. */
  readonly control: ChassisControl;
  /** What it printed. */
  readonly lines: readonly string[];
  /** From now on it answers nothing: it stands still. */
  silence(): void;
}

/**
 * OpenIPMI's `ipmi_sim`: IPMI 1.5, and RMCP+ with suites up to 3. Of the boot flags it keeps the device only; cycle is accepted for a machine
 * that is off, and switches it on a second later; a test of a password always succeeds; it forgets what is beyond 16 bytes of a new one.
 * @throws SIDERO_SIMULATOR_UNSUPPORTED, SIDERO_SIMULATOR_LATE
 */
export async function startIpmiSim(options: IpmiSimOptions): Promise<BmcProcess> {
  const missing = ipmiSimSupport();
  if (missing.length > 0) throw failure('SIDERO_SIMULATOR_UNSUPPORTED', { name: 'ipmi_sim', missing });
  const { address = '127.0.0.1', port = (await freePorts(1))[0]! } = options;
  const control = new ChassisControl(options.chassis);
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'ipmi-sim-'));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const chassis = openIpmiChassis(control);
  const lan = lanAnswers({ address, mac: options.mac ?? '52:54:00:be:ef:01' });
  stack.use(await startHook(join(dir, 'hook.sock'), ([to, ...words]) => (to === 'lan' ? lan(words) : chassis(words))));
  await writeConfiguration(dir, { ...options, address, port });
  const child = stack.use(await start(dir, { space: options.space, port }));
  await untilListening(child, { transport: 'udp', port });
  return { address, port, control, ...processOf(child, stack.move()) };
}

/** A process as its user sees it; what belongs to it goes with it. */
export function processOf(child: Child, owned: AsyncDisposableStack): Pick<BmcProcess, 'lines' | 'silence' | typeof Symbol.asyncDispose> {
  return {
    lines: child.lines,
    silence() {
      process.kill(child.pid, 'SIGSTOP');
      // Who stands still hears no SIGTERM.
      owned.defer(() => void process.kill(child.pid, 'SIGCONT'));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

// It dies of SIGPIPE when a machine at its system port goes away. It is not to outlive us.
function start(dir: string, { space, port }: { space: Namespace | undefined; port: number }): Promise<Child> {
  const command = [
    'setpriv',
    '--pdeathsig',
    'KILL',
    'sh',
    '-c',
    `trap '' PIPE; exec "$@"`,
    'sh',
    'ipmi_sim',
    '-c',
    'lan.conf',
    '-f',
    'commands',
    '-s',
    'state',
    '-n',
  ] as const;
  const options = { name: `ipmi_sim on UDP port ${port}`, cwd: dir };
  return space ? space.start(command, options) : startChild(command, options);
}

async function writeConfiguration(dir: string, options: IpmiSimOptions & { address: string; port: number }): Promise<void> {
  const hook = join(dir, 'hook');
  await mkdir(join(dir, 'state'));
  const socket = join(dir, 'hook.sock');
  const curl = `exec curl --silent --fail --noproxy '*' --max-time 2 --unix-socket '${socket}' --data-raw "$*" http://chassis/`;
  await writeFile(hook, `#!/bin/sh\n${curl}\n`, { mode: 0o755 });
  await writeFile(join(dir, 'lan.conf'), lanConfiguration(hook, options));
  await writeFile(join(dir, 'commands'), COMMANDS);
}

const COMMANDS = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`;

const PRIVILEGES = { user: 'user', operator: 'operator', administrator: 'admin' } as const;

function lanConfiguration(
  hook: string,
  { address, port, users = BMC_USERS, systemPort }: IpmiSimOptions & { address: string; port: number },
): string {
  const logins = ['callback', 'user', 'operator', 'admin'].map((privilege) => `    allowed_auths_${privilege} none md2 md5 straight`);
  const named = users.map(({ name, password, privilege = 'administrator' }, index) => {
    return `  user ${index + 2} true "${name}" "${password}" ${PRIVILEGES[privilege]} 10 none md2 md5 straight`;
  });
  return [
    'name "sidero"',
    'set_working_mc 0x20',
    '  startlan 1',
    `    addr ${address} ${port}`,
    '    priv_limit admin',
    ...logins,
    '    guid a123456789abcdefa123456789abcdef',
    `    lan_config_program "${hook} lan"`,
    '  endlan',
    `  chassis_control "${hook} chassis"`,
    ...(systemPort === undefined ? [] : [`  serial 15 ${address} ${systemPort} codec VM`]),
    '  user 1 false "" "" user 10 none md2 md5 straight',
    ...named,
    '',
  ].join('\n');
}

/** Answers as OpenIPMI's `lan_config_program` does: `get ip_addr`, … It cannot be changed over the wire. */
function lanAnswers({ address, mac }: { address: string; mac: string }): (words: readonly string[]) => string | undefined {
  const parameters: Readonly<Record<string, string>> = {
    ip_addr: address,
    ip_addr_src: 'static',
    mac_addr: mac,
    subnet_mask: '255.0.0.0',
    default_gw_ip_addr: '0.0.0.0',
    default_gw_mac_addr: '00:00:00:00:00:00',
    backup_gw_ip_addr: '0.0.0.0',
    backup_gw_mac_addr: '00:00:00:00:00:00',
  };
  return ([verb, ...names]) => {
    if (verb !== 'get' || names.some((name) => !(name in parameters))) return undefined;
    return names.map((name) => `${name}:${parameters[name]}\n`).join('');
  };
}
