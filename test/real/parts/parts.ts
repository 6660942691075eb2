import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Outcome, runCommand } from '../../command.ts';
import { KUBERNETES_VERSION, testCache } from '../kubernetes-parts.ts';

/** Something real that tests run against and that is not in this repository. */
export interface Part {
  readonly name: string;
  /** Why it cannot be used now, and what would bring it; undefined when it is ready. */
  readonly missing: string | undefined;
}

/** What `npm test` may do to this machine to get what is missing. */
export interface Means {
  readonly mayInstall: boolean;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** Debian packages, each with a file it brings, for the real parts that are not built from source. */
const PACKAGES: Readonly<Record<string, string>> = {
  curl: '/usr/bin/curl',
  'dnsmasq-base': '/usr/sbin/dnsmasq',
  iproute2: '/sbin/ip',
  ipxe: '/usr/lib/ipxe/undionly.kpxe',
  'ipxe-qemu': '/usr/lib/ipxe/qemu/efi-virtio.rom',
  ovmf: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  'qemu-system-x86': '/usr/bin/qemu-system-x86_64',
  'tftp-hpa': '/usr/bin/tftp',
};

const ROOT = join(import.meta.dirname, '../../..');
const KUBERNETES = ['etcd', 'kube-apiserver', 'kubectl', 'elector'].map((program) => join(testCache(), `kubernetes-${KUBERNETES_VERSION}`, program));

/** Installs the Debian packages that lack, when it may and can. */
export async function debianPackages({ mayInstall, signal, say }: Means): Promise<Part> {
  const name = 'QEMU, firmware, TFTP and HTTP clients';
  const lacking = lackingPackages();
  if (lacking.length === 0) return { name, missing: undefined };
  const install = `apt-get update && apt-get install -y --no-install-recommends ${lacking.join(' ')}`;
  const obstacle = !mayInstall
    ? '--no-install was given'
    : !hasProgram('apt-get')
      ? 'this is not Debian'
      : process.getuid?.() !== 0
        ? 'we are not root'
        : undefined;
  if (obstacle) return { name, missing: `${lacking.join(', ')} not installed, and ${obstacle}; as root on Debian: ${install}` };
  say(`installing Debian packages, as root: ${install}`);
  const outcome = await runCommand(['sh', '-c', install], { signal, env: { DEBIAN_FRONTEND: 'noninteractive' } });
  return { name, missing: outcome.code === 0 ? undefined : `${install}: ${lastLines(outcome)}` };
}

/** Builds etcd, kube-apiserver and kubectl from the Go module proxy, when they are not in the cache. */
export async function kubernetes({ mayInstall, signal, say }: Means): Promise<Part> {
  const name = 'kube-apiserver, etcd, kubectl';
  if (KUBERNETES.every((file) => existsSync(file))) return { name, missing: undefined };
  const script = join(import.meta.dirname, 'build-kubernetes.sh');
  const obstacle = !mayInstall ? '--no-install was given' : !hasProgram('go') ? 'Go is not installed (https://go.dev/dl)' : undefined;
  if (obstacle) return { name, missing: `not in ${testCache()}, and ${obstacle}; with Go: sh ${script} ${testCache()}` };
  say(`building ${name} into ${testCache()} in the background; the first time this takes about 15 min`);
  const outcome = await runCommand(['nice', '-n', '5', 'sh', script, testCache()], { signal });
  return { name, missing: outcome.code === 0 ? undefined : `${script}: ${lastLines(outcome)}` };
}

/** Builds the agent's kernel and initramfs, which the real machines boot, from packages that Debian's archive has now. */
export async function agentImage({ mayInstall, signal, say }: Means): Promise<Part> {
  const name = 'agent image';
  const obstacle = !hasProgram('apt-get') ? 'its kernel comes from Debian, and this is not Debian' : undefined;
  if (obstacle) return { name, missing: obstacle };
  const build = [process.execPath, join(ROOT, 'plugins/agent/image/build.ts')] as const;
  let outcome = await runCommand(build, { signal });
  if (outcome.code !== 0 && mayInstall && process.getuid?.() === 0) {
    say('fetching the list of Debian packages, as root: apt-get update');
    await runCommand(['apt-get', 'update'], { signal });
    outcome = await runCommand(build, { signal });
  }
  return { name, missing: outcome.code === 0 ? undefined : `npm run build:agent: ${lastLines(outcome)}` };
}

function lackingPackages(): readonly string[] {
  return Object.entries(PACKAGES).flatMap(([name, file]) => (existsSync(file) ? [] : [name]));
}

function hasProgram(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function lastLines({ output, code }: Outcome): string {
  return output.trim().split('\n').slice(-5).join('\n') || `exit code ${code}`;
}
