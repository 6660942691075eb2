import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../free-ports.ts';
import { type Chassis, ChassisControl } from './chassis.ts';
import { openIpmiChassis, startHook } from './chassis-hook.ts';
import { type BmcProcess, processOf } from './ipmi-sim.ts';
import { untilListening } from './listening.ts';
import { PYTHON_DIR, startPython } from './python.ts';
import { BMC_USERS, type BmcUser, passwords } from './users.ts';

export interface PyghmiBmcOptions {
  /** The machine whose power it has. */
  readonly chassis: Chassis;
  /** UDP, on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Default `BMC_USERS`; it knows no privileges. */
  readonly users?: readonly BmcUser[];
}

/**
 * A BMC on pyghmi's server: RMCP+ with suite 3 only. Keeps all five bytes of the boot flags, and refuses to cycle a machine that is off
 * (completion code D5h). It has no user, LAN and channel commands.
 * @throws SIDERO_SIMULATOR_UNSUPPORTED, SIDERO_SIMULATOR_LATE
 */
export async function startPyghmiBmc(options: PyghmiBmcOptions): Promise<BmcProcess> {
  const address = '127.0.0.1';
  const { port = (await freePorts(1))[0]!, users = BMC_USERS } = options;
  const control = new ChassisControl(options.chassis);
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'pyghmi-'));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const socket = join(dir, 'hook.sock');
  stack.use(await startHook(socket, openIpmiChassis(control)));
  const config = join(dir, 'bmc.json');
  await writeFile(config, JSON.stringify({ address, port, socket, users: passwords(users) }));
  const name = `pyghmi's BMC on UDP port ${port}`;
  const child = stack.use(await startPython([join(PYTHON_DIR, 'pyghmi_bmc.py'), config], { name, cwd: dir }));
  await untilListening(child, { transport: 'udp', port });
  return { address, port, control, ...processOf(child, stack.move()) };
}
