import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../free-ports.ts';
import { type Child, runChild } from '../qemu/child.ts';
import { makeCertificate } from './certificate.ts';
import { type Chassis, ChassisControl } from './chassis.ts';
import { openIpmiChassis, startHook } from './chassis-hook.ts';
import { processOf } from './ipmi-sim.ts';
import { untilListening } from './listening.ts';
import { PYTHON_DIR, python, startPython } from './python.ts';
import { BMC_USERS, type BmcUser, passwords } from './users.ts';

/** A computer system of a Redfish service. */
export interface RedfishSystem {
  /** SMBIOS system UUID. */
  readonly uuid: string;
  readonly name: string;
  readonly serial?: string;
}

export interface RedfishOptions<S extends RedfishSystem = RedfishSystem> {
  readonly systems: readonly S[];
  /** TCP, on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Default: TLS with a certificate of its own. */
  readonly tls?: boolean;
  /** Default `BMC_USERS`. */
  readonly users?: readonly BmcUser[];
}

/** A Redfish service in a process of its own. */
export interface RedfishProcess extends AsyncDisposable {
  /** `https://127.0.0.1:port`, or http. */
  readonly url: string;
  readonly address: string;
  readonly port: number;
  /** Who vouches for it: its own certificate (PEM). Undefined without TLS. */
  readonly ca: string | undefined;
  /** What it printed: one line a request among it. */
  readonly lines: readonly string[];
  /** From now on it answers nothing: it stands still. */
  silence(): void;
}

/**
 * sushy-tools' emulator with its fake systems: basic auth only, no ETags. What is ordered happens 3 to 4 s later, `Enabled` is ignored, a
 * ResetType it does not know is a 501, and a target of UefiHttp becomes Pxe.
 * @throws SIDERO_SIMULATOR_UNSUPPORTED, SIDERO_SIMULATOR_LATE
 */
export async function startSushyEmulator(options: RedfishOptions): Promise<RedfishProcess> {
  return await startService(options, async ({ dir, port, certificate }) => {
    const htpasswd = join(dir, 'htpasswd');
    await writeFile(htpasswd, await runChild([python('sushy-emulator'), '-c', HTPASSWD], JSON.stringify(passwords(options.users ?? BMC_USERS))));
    const settings = {
      SUSHY_EMULATOR_LISTEN_IP: ADDRESS,
      SUSHY_EMULATOR_LISTEN_PORT: port,
      SUSHY_EMULATOR_AUTH_FILE: htpasswd,
      SUSHY_EMULATOR_STATE_DIR: dir,
      SUSHY_EMULATOR_FAKE_SYSTEMS: options.systems.map((system) => fakeSystem(system)),
      ...(certificate && { SUSHY_EMULATOR_SSL_CERT: certificate.certFile, SUSHY_EMULATOR_SSL_KEY: certificate.keyFile }),
    };
    await writeFile(join(dir, 'settings.json'), JSON.stringify(settings));
    await writeFile(join(dir, 'sushy.conf'), CONFIGURATION);
    return await startPython(['-m', 'sushy_tools.emulator.main', '--config', 'sushy.conf', '--fake'], {
      name: `sushy-emulator on port ${port}`,
      cwd: dir,
    });
  });
}

// Its configuration is Python. It draws how many seconds later it acts, counted from the beginning of this second: one of them may be over at once.
const CONFIGURATION = `import json, random
random.randint = lambda least, most: 4
globals().update(json.load(open('settings.json')))
`;

const HTPASSWD = `import bcrypt, json, sys
for user, password in json.load(sys.stdin).items():
    print(user + ":" + bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode())`;

/** A system with a machine behind it. */
export interface ActingSystem extends RedfishSystem {
  readonly chassis: Chassis;
}

/** A Redfish service whose machines do what they are told. */
export interface ActingRedfish extends RedfishProcess {
  /** The power switch of a system, by its UUID. */
  readonly controls: ReadonlyMap<string, ChassisControl>;
  /** Login sessions that are open now. */
  readonly sessions: ReadonlySet<string>;
}

/**
 * sushy-tools' emulator with machines behind its systems, and with what it lacks: power acts at once, `Once` counts, PowerCycle, ETags, login
 * sessions, accounts whose passwords can be changed.
 * @throws SIDERO_SIMULATOR_UNSUPPORTED, SIDERO_SIMULATOR_LATE
 */
export async function startActingRedfish(options: RedfishOptions<ActingSystem>): Promise<ActingRedfish> {
  const controls = new Map(options.systems.map(({ uuid, chassis }) => [uuid, new ChassisControl(chassis)]));
  const sessions = new Set<string>();
  const service = await startService(options, async ({ dir, port, certificate, stack }) => {
    const socket = join(dir, 'hook.sock');
    stack.use(await startHook(socket, answers(controls, sessions)));
    const tls = certificate && { cert: certificate.certFile, key: certificate.keyFile };
    const systems = options.systems.map((system) => fakeSystem(system));
    const config = { address: ADDRESS, port, dir, socket, systems, users: passwords(options.users ?? BMC_USERS), ...tls };
    await writeFile(join(dir, 'bmc.json'), JSON.stringify(config));
    return await startPython([join(PYTHON_DIR, 'acting_redfish.py'), 'bmc.json'], { name: `acting Redfish service on port ${port}`, cwd: dir });
  });
  return { ...service, controls, sessions };
}

function answers(controls: ReadonlyMap<string, ChassisControl>, sessions: Set<string>) {
  const machines = new Map([...controls].map(([uuid, control]) => [uuid, openIpmiChassis(control)]));
  return ([to = '', ...words]: readonly string[]) => {
    if (to !== 'session') return machines.get(to)?.(words);
    const [what, name = ''] = words;
    if (what === 'open') sessions.add(name);
    else sessions.delete(name);
    return '';
  };
}

const ADDRESS = '127.0.0.1';

interface Site {
  /** For its files; removed with it. */
  readonly dir: string;
  readonly port: number;
  readonly certificate: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly stack: AsyncDisposableStack;
}

async function startService(options: RedfishOptions, start: (site: Site) => Promise<Child>): Promise<RedfishProcess> {
  const { tls = true, port = (await freePorts(1))[0]! } = options;
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'redfish-'));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const certificate = tls ? await makeCertificate(dir) : undefined;
  const child = stack.use(await start({ dir, port, certificate, stack }));
  await untilListening(child, { transport: 'tcp', port });
  return {
    url: `${tls ? 'https' : 'http'}://${ADDRESS}:${port}`,
    address: ADDRESS,
    port,
    ca: certificate?.pem,
    ...processOf(child, stack.move()),
  };
}

// The emulator wants a network card, and somebody not to tell.
function fakeSystem({ uuid, name, serial = '' }: RedfishSystem) {
  return { uuid, name, serial, power_state: 'Off', external_notifier: false, nics: [{ mac: '52:54:00:be:ef:02', ip: '10.77.0.2' }] };
}
