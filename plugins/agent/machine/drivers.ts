import type { Machine } from './machine.ts';

const ROUND_PAUSE_MS = 200;
/** Disks and links come up in the background; this many rounds without news mean that they have. */
const QUIET_ROUNDS = 4;
const ROUND_LIMIT = 100;

/** What the devices of every bus ask for: `pci:v00001AF4d…`. */
export function modaliases(machine: Machine): readonly string[] {
  const buses = machine.list('/sys/bus').map((bus) => `/sys/bus/${bus}/devices`);
  const devices = buses.flatMap((folder) => machine.list(folder).map((device) => `${folder}/${device}/modalias`));
  return [...new Set(devices.map((file) => machine.text(file) ?? ''))].filter((alias) => alias !== '').sort();
}

/**
 * Loads the drivers of everything that is there, and of what those drivers find in turn, until nothing new appears for 0.8 s, at
 * most for 20 s. A device without a driver is no error.
 */
export async function loadDrivers(machine: Machine, signal: AbortSignal): Promise<void> {
  const tried = new Set<string>();
  let seen = '';
  for (let round = 0, quiet = 0; round < ROUND_LIMIT && quiet < QUIET_ROUNDS; round++) {
    const fresh = modaliases(machine).filter((alias) => !tried.has(alias));
    fresh.forEach((alias) => tried.add(alias));
    if (fresh.length > 0) await machine.run('modprobe', ['-a', '-q', '--', ...fresh]);
    const now = [...machine.list('/sys/block'), ...machine.list('/sys/class/net')].join(' ');
    quiet = fresh.length === 0 && now === seen ? quiet + 1 : 0;
    seen = now;
    if (quiet < QUIET_ROUNDS) await machine.pause(ROUND_PAUSE_MS, signal);
  }
}

/** The driver of the local IPMI device; nothing on the buses asks for its user-space half. */
export async function loadIpmiDrivers(machine: Machine): Promise<void> {
  await machine.run('modprobe', ['-a', '-q', '--', 'ipmi_si', 'ipmi_ssif', 'ipmi_devintf']);
}
