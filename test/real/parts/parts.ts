import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Outcome, runCommand } from '../../command.ts';
import { isClusterApiBuilt } from '../cluster-api/parts.ts';
import { KUBERNETES_VERSION, testCache } from '../kubernetes-parts.ts';
import { talosProgram } from '../talos/program.ts';

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

/** What the harness says of this host; see `qemuSupport` in @sidero/testing/qemu. */
interface Lack {
  readonly what: string;
  readonly remedy: string;
  readonly package?: string;
}

const ROOT = join(import.meta.dirname, '../../..');

/** Debian packages, each with a file it brings, for the clients that our servers are tried with. */
const CLIENTS: Readonly<Record<string, string>> = {
  'busybox-static': '/bin/busybox',
  curl: '/usr/bin/curl',
  ipxe: '/usr/lib/ipxe/undionly.kpxe',
  'tftp-hpa': '/usr/bin/tftp',
};

/** Debian packages, each with a file it brings, for the tunnels of SideroLink. */
const TUNNELS: Readonly<Record<string, string>> = {
  'busybox-static': '/bin/busybox',
  iproute2: '/usr/sbin/ip',
  'wireguard-go': '/usr/bin/wireguard-go',
  'wireguard-tools': '/usr/bin/wg',
};

/** Debian packages, each with a file it brings, for the image as a container, and for others that read it. */
const CONTAINERS: Readonly<Record<string, string>> = {
  curl: '/usr/bin/curl',
  runc: '/usr/sbin/runc',
  skopeo: '/usr/bin/skopeo',
  umoci: '/usr/bin/umoci',
};

/** Debian packages, each with a file it brings, for the BMCs of others and the clients that ours are tried with. */
const BMCS: Readonly<Record<string, string>> = {
  curl: '/usr/bin/curl',
  'freeipmi-tools': '/usr/sbin/ipmipower',
  ipmitool: '/usr/bin/ipmitool',
  openipmi: '/usr/bin/ipmi_sim',
  openssl: '/usr/bin/openssl',
};
const KUBERNETES = ['etcd', 'kube-apiserver', 'kubectl', 'elector'].map((program) => join(testCache(), `kubernetes-${KUBERNETES_VERSION}`, program));

/** QEMU machines, and clients of others: installs the Debian packages that lack, when it may and can. */
export async function machines(means: Means): Promise<Part> {
  const name = 'QEMU machines, TFTP and HTTP clients';
  const before = await lacks(means.signal);
  const packages = [...new Set(before.flatMap((lack) => lack.package ?? []))];
  const failed = packages.length > 0 ? await install(packages, means) : undefined;
  const after = packages.length > 0 ? await lacks(means.signal) : before;
  const missing = [...after.map(({ what, remedy }) => `${what} is missing: ${remedy}`), ...(failed ? [failed] : [])];
  return { name, missing: missing.length > 0 ? missing.join('\n    ') : undefined };
}

/** Everything the machines and clients need and this host has not. */
async function lacks(signal: AbortSignal): Promise<readonly Lack[]> {
  const own = absent(CLIENTS);
  const answer = await ask<Lack[]>('qemuSupport', { from: '@sidero/testing/qemu', signal });
  return 'problem' in answer ? [...own, { what: 'an answer of qemuSupport()', remedy: answer.problem }] : [...own, ...answer.value];
}

function absent(packages: Readonly<Record<string, string>>): readonly Lack[] {
  const names = Object.keys(packages).filter((name) => !existsSync(packages[name]!));
  return names.map((name) => ({ what: packages[name]!, package: name, remedy: `apt-get install --no-install-recommends ${name}` }));
}

/** What a function of the harness says, called without arguments in a process of its own. */
async function ask<T>(name: string, { from, signal }: { from: string; signal: AbortSignal }): Promise<{ value: T } | { problem: string }> {
  const question = `import { ${name} } from '${from}'; process.stdout.write(JSON.stringify(${name}()));`;
  const answer = await runCommand([process.execPath, '--conditions=source', '--input-type=module', '--eval', question], { signal });
  if (answer.code !== 0) return { problem: lastLines(answer) };
  return { value: JSON.parse(answer.output.trim().split('\n').at(-1)!) as T };
}

/** BMCs of others, and clients for ours: Debian packages, and packages of PyPI in an environment of their own. */
export async function bmcs(means: Means): Promise<Part> {
  const name = 'BMCs of others';
  const packages = [...absent(BMCS).flatMap((lack) => lack.package ?? []), ...(await venvPackages(means.signal))];
  const failed = packages.length > 0 ? await install(packages, means) : undefined;
  const problems = [...absent(BMCS).map(({ what, remedy }) => `${what} is missing: ${remedy}`), ...(failed ? [failed] : [])];
  const python = await installPython(means);
  const missing = [...problems, ...(python ? [python] : [])];
  return { name, missing: missing.length > 0 ? missing.join('\n    ') : undefined };
}

/** Debian's Python comes without what makes environments. */
async function venvPackages(signal: AbortSignal): Promise<readonly string[]> {
  const { code } = await runCommand(['python3', '-c', 'import ensurepip, venv'], { signal });
  return code === 0 ? [] : ['python3', 'python3-venv'];
}

/** Gives the reason when it did not work. */
async function installPython({ mayInstall, signal, say }: Means): Promise<string | undefined> {
  const lacks = await ask<Lack[]>('pythonSupport', { from: '@sidero/testing/bmc', signal });
  if ('problem' in lacks) return lacks.problem;
  const [lack] = lacks.value;
  if (!lack) return undefined;
  if (!mayInstall) return `${lack.what} is missing, and --no-install was given: ${lack.remedy}`;
  say(`installing ${lack.what}`);
  const outcome = await runCommand(['sh', '-c', lack.remedy], { signal });
  return outcome.code === 0 ? undefined : `${lack.remedy}: ${lastLines(outcome)}`;
}

/** Gives the reason when it did not work. */
async function install(packages: readonly string[], { mayInstall, signal, say }: Means): Promise<string | undefined> {
  if (!mayInstall) return 'nothing was installed: --no-install was given';
  if (!hasProgram('apt-get')) return 'nothing was installed: this is not Debian';
  if (process.getuid?.() !== 0) return 'nothing was installed: only root may';
  const command = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  say(`installing Debian packages, as root: ${command}`);
  const outcome = await runCommand(['sh', '-c', command], { signal, env: { DEBIAN_FRONTEND: 'noninteractive' } });
  return outcome.code === 0 ? undefined : `${command}: ${lastLines(outcome)}`;
}

/** WireGuard in user space, and what sets it up. */
export function tunnels(means: Means): Promise<Part> {
  return debianPart('WireGuard', TUNNELS, means);
}

/** A container runtime, and readers of images. */
export function containers(means: Means): Promise<Part> {
  return debianPart('containers', CONTAINERS, means);
}

async function debianPart(name: string, files: Readonly<Record<string, string>>, means: Means): Promise<Part> {
  const packages = absent(files).flatMap((lack) => lack.package ?? []);
  const failed = packages.length > 0 ? await install(packages, means) : undefined;
  const problems = [...absent(files).map(({ what, remedy }) => `${what} is missing: ${remedy}`), ...(failed ? [failed] : [])];
  return { name, missing: problems.length > 0 ? problems.join('\n    ') : undefined };
}

/** Builds etcd, kube-apiserver, kubectl and a client-go program from the Go module proxy, when they are not in the cache. */
export function kubernetes(means: Means): Promise<Part> {
  const isThere = KUBERNETES.every((file) => existsSync(file));
  return goPrograms(means, { name: 'kube-apiserver, etcd, kubectl', isThere, args: ['build-kubernetes.sh', testCache()], time: '15 min' });
}

/** The same for Cluster API, Talos' providers of it, and the stand-in for Talos. */
export async function clusterApi(means: Means): Promise<readonly Part[]> {
  const program = talosProgram();
  const name = 'the stand-in for Talos';
  const talos = await goPrograms(means, { name, isThere: existsSync(program), args: ['build-talos.sh', testCache(), program], time: '2 min' });
  const isThere = isClusterApiBuilt();
  const providers = await goPrograms(means, { name: 'Cluster API', isThere, args: ['build-cluster-api.sh', testCache()], time: '10 min' });
  return [talos, providers];
}

interface GoPrograms {
  readonly name: string;
  readonly isThere: boolean;
  /** A script beside this file, and what it is told. */
  readonly args: readonly [script: string, ...string[]];
  /** About how long it takes the first time. */
  readonly time: string;
}

async function goPrograms({ mayInstall, signal, say }: Means, { name, isThere, args, time }: GoPrograms): Promise<Part> {
  if (isThere) return { name, missing: undefined };
  const [file, ...told] = args;
  const script = join(import.meta.dirname, file);
  const obstacle = !mayInstall ? '--no-install was given' : !hasProgram('go') ? 'Go is not installed (https://go.dev/dl)' : undefined;
  if (obstacle) return { name, missing: `not in ${testCache()}, and ${obstacle}; with Go: sh ${[script, ...told].join(' ')}` };
  say(`building ${name} into ${testCache()} in the background; the first time this takes about ${time}`);
  const outcome = await runCommand(['nice', '-n', '5', 'sh', script, ...told], { signal });
  return { name, missing: outcome.code === 0 ? undefined : `${script}: ${lastLines(outcome)}` };
}

/** Builds the agent's kernel and initramfs, which the real machines boot, from packages that Debian's archive has now. */
export async function agentImage({ mayInstall, signal, say }: Means): Promise<Part> {
  const name = 'the agent image';
  if (!hasProgram('apt-get')) return { name, missing: 'its kernel comes from Debian, and this is not Debian' };
  const build = [process.execPath, join(ROOT, 'plugins/agent/image/build.ts')] as const;
  let outcome = await runCommand(build, { signal });
  if (outcome.code !== 0 && mayInstall && process.getuid?.() === 0) {
    say('fetching the list of Debian packages, as root: apt-get update');
    await runCommand(['apt-get', 'update'], { signal });
    outcome = await runCommand(build, { signal });
  }
  return { name, missing: outcome.code === 0 ? undefined : `npm run build:agent: ${lastLines(outcome)}` };
}

/** Builds what machines boot that run the stand-in for Talos, once that is there; the demo finds it, too. */
export async function talosImage({ say, signal }: Means): Promise<Part> {
  const name = "the image of Talos' stand-in";
  if (!existsSync(talosProgram())) return { name, missing: 'the stand-in itself is missing' };
  say(`building ${name}, unless it is there`);
  const outcome = await runCommand([process.execPath, join(ROOT, 'test/real/talos/build-image.ts')], { signal });
  return { name, missing: outcome.code === 0 ? undefined : `npm run build:talos-stand-in: ${lastLines(outcome)}` };
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
  return output.trim().split('\n').slice(-3).join('\n    ') || `exit code ${code}`;
}
