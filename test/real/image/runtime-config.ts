/** The part of a pod that decides how its containers run, as in a Deployment. */
export interface PodSpec {
  readonly containers: readonly ContainerSpec[];
  readonly securityContext?: { readonly fsGroup?: number };
  readonly volumes: readonly VolumeSpec[];
  readonly terminationGracePeriodSeconds: number;
}

/** A container of it. */
export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly workingDir: string;
  readonly env: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number; readonly protocol: string }[];
  readonly livenessProbe?: ProbeSpec;
  readonly readinessProbe?: ProbeSpec;
  readonly resources: { readonly limits: { readonly cpu: string; readonly memory: string } };
  readonly securityContext: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly privileged?: boolean;
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

/** A probe by HTTP. */
export interface ProbeSpec {
  readonly httpGet: { readonly path: string; readonly port: string };
}

/** What is mounted into containers. */
export interface VolumeSpec {
  readonly name: string;
  readonly secret?: { readonly secretName: string };
  readonly configMap?: { readonly name: string; readonly optional?: boolean };
  readonly hostPath?: { readonly path: string; readonly type: string };
  readonly emptyDir?: object;
}

/** What a kubelet knows of a pod beside its spec. */
export interface PodPlace {
  /** Values of `fieldRef`s: "status.hostIP". */
  readonly fields: Readonly<Record<string, string>>;
  /** Where on this machine each volume is. */
  readonly volumes: ReadonlyMap<string, string>;
  /** Folder with `token`, `ca.crt` and `namespace`. */
  readonly account: string;
  /** Variables that lead to the API. */
  readonly service: Readonly<Record<string, string>>;
}

/** What the image says of how it is run. */
export interface ImageConfig {
  readonly Env: readonly string[];
  readonly WorkingDir: string;
  readonly User?: string;
}

const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/sched_debug',
  '/sys/firmware',
];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
const KERNEL_MOUNTS = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
  { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'] },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

/**
 * The configuration of a container for an OCI runtime, as kubelet and containerd derive it from the pod: no capabilities but those that are asked for, the
 * default devices, masked paths, the account's folder, and the network that the runtime is started in.
 */
export function runtimeConfig(
  container: ContainerSpec,
  given: { readonly pod: PodSpec; readonly place: PodPlace; readonly image: ImageConfig },
): object {
  const { pod, place, image } = given;
  const { securityContext: security } = container;
  if (security.capabilities.drop.join() !== 'ALL') throw new Error(`container ${container.name} keeps capabilities of the runtime`);
  const capabilities = (security.capabilities.add ?? []).map((name) => `CAP_${name}`);
  const { fsGroup } = pod.securityContext ?? {};
  return {
    ociVersion: '1.0.2',
    root: { path: 'rootfs', readonly: false },
    hostname: container.name,
    process: {
      user: {
        uid: security.runAsUser ?? Number(image.User ?? 0),
        gid: security.runAsGroup ?? 0,
        additionalGids: fsGroup === undefined ? [] : [fsGroup],
      },
      args: container.command,
      cwd: container.workingDir,
      env: [...image.Env, ...variables(container, place)],
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities, inheritable: [], ambient: [] },
      noNewPrivileges: security.allowPrivilegeEscalation === false,
      oomScoreAdj: 0,
    },
    mounts: [...KERNEL_MOUNTS, ...volumeMounts(container, place)],
    linux: {
      // Of network there is none: it is the pod's.
      namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
      resources: { devices: [{ allow: false, access: 'rwm' }], ...limits(container) },
    },
  };
}

function variables({ env }: ContainerSpec, { fields, service }: PodPlace): readonly string[] {
  const own = env.map(({ name, value, valueFrom }) => {
    const text = valueFrom ? fields[valueFrom.fieldRef.fieldPath] : (value ?? '');
    if (text === undefined) throw new Error(`${name}: nobody knows ${valueFrom?.fieldRef.fieldPath}`);
    return [name, text] as const;
  });
  return [...Object.entries(service), ...own].map(([name, value]) => `${name}=${value}`);
}

function volumeMounts({ volumeMounts: mounts }: ContainerSpec, { volumes, account }: PodPlace): readonly object[] {
  const all = [...mounts, { name: '', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }];
  return all.map(({ name, mountPath, readOnly = false }) => {
    const source = name === '' ? account : volumes.get(name);
    if (source === undefined) throw new Error(`volume ${name} is mounted, and the pod has none of that name`);
    return { destination: mountPath, type: 'bind', source, options: ['rbind', 'rprivate', readOnly ? 'ro' : 'rw'] };
  });
}

function limits({ resources }: ContainerSpec): object {
  const { cpu, memory } = resources.limits;
  const period = 100_000;
  const [, amount = '', unit = ''] = /^(\d+)(Mi|Gi)$/.exec(memory) ?? [];
  const bytes = Number(amount) * (unit === 'Gi' ? 1024 ** 3 : 1024 ** 2);
  if (!bytes || !/^\d+m$/.test(cpu)) throw new Error(`limits of ${cpu} and ${memory} are not understood`);
  return { memory: { limit: bytes }, cpu: { period, quota: (Number.parseInt(cpu, 10) * period) / 1000 } };
}
