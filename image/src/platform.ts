import { failure } from './errors.ts';

/** What an image runs on. */
export interface Platform {
  /** As OCI and Debian call the processor: "amd64". */
  readonly architecture: string;
  /** As npm calls it: "x64". */
  readonly cpu: string;
}

const PLATFORMS: readonly Platform[] = [
  { architecture: 'amd64', cpu: 'x64' },
  { architecture: 'arm64', cpu: 'arm64' },
];

/** This machine. */
export const HOST: Platform = PLATFORMS.find(({ cpu }) => cpu === process.arch) ?? { architecture: process.arch, cpu: process.arch };

/** "linux/amd64" or "linux/arm64". @throws SIDERO_IMAGE_PLATFORM_UNKNOWN */
export function platformOf(name: string): Platform {
  const found = PLATFORMS.find(({ architecture }) => name === `linux/${architecture}`);
  if (!found) throw failure('SIDERO_IMAGE_PLATFORM_UNKNOWN', { platform: name });
  return found;
}

/** What a package.json, or its entry in a lock file, says of where a package runs. */
export interface RunsOn {
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
  readonly libc?: string | readonly string[];
}

/** Whether npm would install a package on that platform. */
export function runsOn({ os, cpu, libc }: RunsOn, platform: Platform): boolean {
  return allows(os, 'linux') && allows(cpu, platform.cpu) && allows(libc, 'glibc');
}

/** A list that names what it takes, or with `!` what it does not. */
function allows(wish: string | readonly string[] | undefined, is: string): boolean {
  const list = wish === undefined ? [] : [wish].flat();
  const taken = list.filter((one) => !one.startsWith('!'));
  return !list.includes(`!${is}`) && (taken.length === 0 || taken.includes(is));
}
