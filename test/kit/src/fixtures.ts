import type { BootRequest, Environment, HardwareInformation, Server, ServerBinding, ServerClass } from '@sidero/core';
import { hardwareInformation, inventory } from './machine/hardware.ts';

/** What a test wants different: any part, at any depth. Lists are replaced as a whole, `undefined` takes a field out. */
export type Overrides<T> = T extends readonly unknown[] ? T : T extends object ? { readonly [K in keyof T]?: Overrides<T[K]> | undefined } : T;

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** `base` with `overrides` laid over it, both left as they are. */
function merged(base: unknown, overrides: unknown): unknown {
  if (!isRecord(overrides)) return overrides;
  const result: Record<string, unknown> = isRecord(base) ? { ...base } : {};
  for (const [key, value] of Object.entries(overrides)) {
    if (value === undefined) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

const withOverrides = <T>(base: T, overrides: NoInfer<Overrides<T>> | undefined): T => merged(structuredClone(base), overrides ?? {}) as T;

/** The UUID of every fixture that names one machine: `aServer()` and `aBootRequest()` belong together. */
export const FIXTURE_UUID = inventory('fixture').system.uuid;

/** A machine's inventory of the usual size; `seed` makes it another machine. */
export function aHardware(overrides?: Overrides<HardwareInformation>, seed = 'fixture'): HardwareInformation {
  return withOverrides(hardwareInformation(inventory(seed)), overrides);
}

/** A registered, accepted, clean and free server as a real one looks (4 to 5 KB as JSON). Its name follows `spec.hardware.system.uuid`. */
export function aServer(overrides?: Overrides<Server>): Server {
  const uuid = overrides?.spec?.hardware?.system?.uuid ?? FIXTURE_UUID;
  const base: Server = {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name: uuid },
    spec: { accepted: true, hostname: `server-${uuid.slice(0, 8)}`, hardware: aHardware() },
    status: { ready: true, inUse: false, isClean: true, power: 'off', addresses: [{ type: 'InternalIP', address: '172.25.0.101' }] },
  };
  return withOverrides(base, overrides);
}

/** A class that every server belongs to. */
export function aServerClass(overrides?: Overrides<ServerClass>): ServerClass {
  const base: ServerClass = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'ServerClass', metadata: { name: 'large' }, spec: {} };
  return withOverrides(base, overrides);
}

/** The environment `default`, its files ready to be served. */
export function anEnvironment(overrides?: Overrides<Environment>): Environment {
  const kernel = 'https://talos.invalid/v1.13.0/vmlinuz-amd64';
  const initrd = 'https://talos.invalid/v1.13.0/initramfs-amd64.xz';
  const base: Environment = {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Environment',
    metadata: { name: 'default' },
    spec: {
      kernel: { url: kernel, args: ['console=tty0', 'console=ttyS0', 'initrd=initramfs.xz', 'talos.platform=metal'] },
      initrd: { url: initrd },
    },
    status: { conditions: [kernel, initrd].map((url) => ({ url, type: 'Ready', status: 'True' })) },
  };
  return withOverrides(base, overrides);
}

/** The allocation of `aServer()` to a MetalMachine. */
export function aBinding(overrides?: Overrides<ServerBinding>): ServerBinding {
  const base: ServerBinding = {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'ServerBinding',
    metadata: { name: FIXTURE_UUID, labels: { 'cluster.x-k8s.io/cluster-name': 'rack-1' } },
    spec: { metalMachineRef: { kind: 'MetalMachine', namespace: 'default', name: 'rack-1-cp-x7k2p' } },
    status: { ready: true },
  };
  return withOverrides(base, overrides);
}

/** What iPXE on the machine of `aServer()` asks. */
export function aBootRequest(overrides?: Overrides<BootRequest>): BootRequest {
  const [nic] = inventory('fixture').interfaces;
  return withOverrides<BootRequest>({ uuid: FIXTURE_UUID, mac: nic!.mac, arch: 'amd64', address: '172.25.0.101' }, overrides);
}
