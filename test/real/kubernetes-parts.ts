import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The release that `parts/build-kubernetes.sh` builds. */
export const KUBERNETES_VERSION = '1.35.4';

/** Paths of the real programs. */
export interface KubernetesParts {
  readonly etcd: string;
  readonly apiServer: string;
  readonly kubectl: string;
  /** Leader election of client-go as a program. */
  readonly elector: string;
}

/** Where built parts lie between runs: `SIDERO_TEST_CACHE`, else `~/.cache/sidero-test`. */
export function testCache(): string {
  return process.env['SIDERO_TEST_CACHE'] ?? join(homedir(), '.cache', 'sidero-test');
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Builds etcd, kube-apiserver, kubectl and elector when one is missing (needs Go; 8–12 min cold), and tells where they are. */
export async function ensureKubernetesParts(): Promise<KubernetesParts> {
  const folder = join(testCache(), `kubernetes-${KUBERNETES_VERSION}`);
  const parts = {
    etcd: join(folder, 'etcd'),
    apiServer: join(folder, 'kube-apiserver'),
    kubectl: join(folder, 'kubectl'),
    elector: join(folder, 'elector'),
  };
  const there = await Promise.all(Object.values(parts).map(isExecutable));
  if (there.includes(false)) await build();
  return parts;
}

function build(): Promise<void> {
  const script = join(import.meta.dirname, 'parts', 'build-kubernetes.sh');
  return new Promise((resolve, reject) => {
    const child = spawn('sh', [script, testCache()], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${script} ended with ${code}: the real Kubernetes parts could not be built (it needs Go)`)),
    );
  });
}
