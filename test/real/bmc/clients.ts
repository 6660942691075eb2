import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Whether ipmitool and FreeIPMI's ipmipower are on this machine. */
export const HAS_CLIENTS = ['ipmitool', 'ipmipower'].every((program) => spawnSync(program, ['-V']).error === undefined);

/** Where a BMC is. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

export interface ClientOptions {
  /** Cipher suite. Default 3; without one ipmitool asks first, for 10 s where nobody answers that. */
  readonly suite?: number;
  readonly interface?: 'lan' | 'lanplus';
  readonly user?: string;
  readonly password?: string;
  /** Default ADMINISTRATOR. */
  readonly privilege?: 'USER' | 'OPERATOR' | 'ADMINISTRATOR';
}

/** Runs a command of ipmitool and gives what it says, trimmed. Rejects with what it complains of. */
export async function ipmitool({ address, port }: Place, command: readonly string[], options: ClientOptions = {}): Promise<string> {
  const { suite = 3, interface: kind = 'lanplus', user = 'admin', password = 'secret', privilege = 'ADMINISTRATOR' } = options;
  const cipher = kind === 'lanplus' ? ['-C', String(suite)] : [];
  // What it sends again after a second, its default, some BMCs do again.
  const args = ['-I', kind, ...cipher, '-N', '5', '-H', address, '-p', String(port), '-U', user, '-L', privilege, '-E', ...command];
  const { stdout } = await run('ipmitool', args, { env: { ...process.env, IPMITOOL_PASSWORD: password } });
  return stdout.trim();
}

/** Runs FreeIPMI's ipmipower over RMCP+ and gives what it says of the host: "on", "off", "ok", or a complaint. */
export async function ipmipower({ address, port }: Place, action: string, options: ClientOptions = {}): Promise<string> {
  const { suite = 17, user = 'admin', password = 'secret' } = options;
  const login = ['-D', 'LAN_2_0', '-I', String(suite), '-h', `${address}:${port}`, '-u', user, '-p', password];
  const { stdout } = await run('ipmipower', [...login, `--${action}`]).catch((failed: { stdout: string }) => failed);
  return stdout.trim().replace(`${address}: `, '');
}
