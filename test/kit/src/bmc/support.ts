import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { searchPath } from '../qemu/child.ts';
import type { Missing } from '../qemu/support.ts';

const IPMI_SIM = [
  { program: 'ipmi_sim', package: 'openipmi', purpose: 'the BMC' },
  { program: 'curl', package: 'curl', purpose: 'its way to the machine' },
] as const;

/** What is missing here to run OpenIPMI's BMC simulator; empty when all is there. Looks, changes nothing. */
export function ipmiSimSupport(): readonly Missing[] {
  return IPMI_SIM.filter(({ program }) => !hasProgram(program)).map(({ program, purpose, package: debianPackage }) => ({
    what: `${program} (${purpose})`,
    remedy: `apt-get install --no-install-recommends ${debianPackage}`,
    package: debianPackage,
  }));
}

function hasProgram(program: string): boolean {
  return searchPath()
    .split(delimiter)
    .some((folder) => isExecutable(join(folder, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
