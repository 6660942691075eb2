import type { Command } from 'commander';
import { askServer } from './ask-server.ts';
import { withWait } from './follow-server.ts';
import { run } from './power.ts';
import { type ApiOptions, withApiOptions } from './running-sidero.ts';

/** `sidero bmc rotate SERVER`: a new password for its BMC, on the device and in the Secret. */
export function bmcCommand(program: Command): void {
  const bmc = program.command('bmc').description('the BMC of a server');
  withApiOptions(withWait(bmc.command('rotate <server>').description('give its BMC a new password, and the Secret too'))).action(
    (name: string, options: ApiOptions & { readonly wait: number }) =>
      run(name, options, async (following) => {
        const server = await askServer(following, 'bmc-rotate');
        const ref = server?.spec?.bmc?.passFrom?.secretKeyRef;
        return server
          ? `server ${name}: its BMC has a new password, kept in Secret ${ref?.namespace}/${ref?.name}`
          : `server ${name}: asked for bmc-rotate`;
      }),
  );
}
