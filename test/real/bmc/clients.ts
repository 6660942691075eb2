import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where a BMC is. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

export interface IpmitoolOptions {
  /** Default 3: without one ipmitool asks first, for 10 s where nobody answers that. */
  readonly suite?: number;
  readonly interface?: 'lan' | 'lanplus';
  readonly user?: string;
  readonly password?: string;
}

/** Runs a command of ipmitool and gives what it says, trimmed. Rejects with what it complains of. */
export async function ipmitool({ address, port }: Place, command: readonly string[], options: IpmitoolOptions = {}): Promise<string> {
  const { suite = 3, interface: kind = 'lanplus', user = 'admin', password = 'secret' } = options;
  const cipher = kind === 'lanplus' ? ['-C', String(suite)] : [];
  const args = ['-I', kind, ...cipher, '-H', address, '-p', String(port), '-U', user, '-E', ...command];
  const { stdout } = await run('ipmitool', args, { env: { ...process.env, IPMITOOL_PASSWORD: password } });
  return stdout.trim();
}
