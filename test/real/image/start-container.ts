import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Child, Namespace } from '@sidero/testing/qemu';

const run = promisify(execFile);

/** A container that runs. */
export interface RunningContainer {
  readonly name: string;
  /** What it wrote, to either output. */
  text(): string;
  /** How it ended: "code 0". */
  readonly exited: Promise<string>;
  /** The same, undefined while it runs. */
  ended(): string | undefined;
  /** Of the first process in it, as this machine counts. */
  pid(): Promise<number>;
  /** As a kubelet does. */
  terminate(): Promise<void>;
  /** Takes what is left of it away. */
  remove(): Promise<void>;
}

/** What a container is made of. */
export interface ContainerOptions {
  readonly name: string;
  /** Unpacked image; the container gets a copy, whose files share their bytes. */
  readonly rootfs: string;
  /** For the runtime. */
  readonly config: object;
  readonly folder: string;
  readonly network: Namespace;
}

/**
 * Runs a container by runc, in a network namespace. It has a process namespace around it that goes when this process goes, however that is, with
 * everything in it.
 */
export async function startContainer({ name, rootfs, config, folder, network }: ContainerOptions): Promise<RunningContainer> {
  const bundle = join(folder, name);
  await mkdir(bundle);
  await run('cp', ['-al', rootfs, join(bundle, 'rootfs')]);
  await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
  const runc = ['runc', '--root', join(folder, 'runc'), 'run', '--bundle', bundle, `sidero-image-${process.pid}-${name}`] as const;
  const around = ['unshare', '--pid', '--mount-proc', '--fork', '--kill-child', '--'] as const;
  const said: string[] = [];
  const child = await network.start([...around, ...runc], { name, onText: (text) => void said.push(text) });
  let end: string | undefined;
  void child.exited.then((how) => (end = how));
  return {
    name,
    ended: () => end,
    text: () => said.join(''),
    exited: child.exited,
    pid: async () => childOf(await childOf(child.pid)),
    // runc hands signals on to the container.
    terminate: async () => void process.kill(await childOf(child.pid), 'SIGTERM'),
    remove: () => remove(child),
  };
}

async function remove(child: Child): Promise<void> {
  try {
    process.kill(await childOf(child.pid), 'SIGKILL');
  } catch {
    // It has ended.
  }
  await child.stop();
}

/** The youngest child of a process; runc has threads, and each has its own. */
async function childOf(pid: number): Promise<number> {
  const tasks = `/proc/${pid}/task`;
  const lists = await Promise.all((await readdir(tasks)).map((task) => readFile(join(tasks, task, 'children'), 'utf8')));
  const children = lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
  if (children.length === 0) throw new Error(`process ${pid} has no child`);
  return Math.max(...children);
}
