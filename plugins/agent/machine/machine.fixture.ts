import { setImmediate as turn } from 'node:timers/promises';
import type { Daemon, Machine } from './machine.ts';
import { DiskError } from './wipe/block-device.ts';

/** A machine made of plain data, for tests. Its clock only moves by `pause`, which takes no time. */
export interface MachineFixture extends Machine {
  readonly files: Map<string, string | Uint8Array>;
  readonly links: Map<string, string>;
  readonly ran: string[];
  readonly said: string[];
  readonly written: Map<string, string>;
  readonly daemons: Daemon[];
  addressed: Record<string, readonly string[]>;
  reboots: number;
}

/** A machine with these files, and whatever is overridden. */
export function aMachine(files: Record<string, string | Uint8Array> = {}, overrides: Partial<Machine> = {}): MachineFixture {
  let clockMs = 0;
  const machine: MachineFixture = {
    files: new Map(Object.entries(files)),
    links: new Map(),
    ran: [],
    said: [],
    written: new Map(),
    daemons: [],
    addressed: {},
    reboots: 0,
    text: (path) => machine.files.get(path)?.toString().trim(),
    bytes: (path) => {
      const file = machine.files.get(path);
      return file === undefined ? undefined : Buffer.from(file);
    },
    list: (path) => namesUnder(path, [...machine.files.keys()]),
    linkName: (path) => machine.links.get(path),
    write: (path, text) => void machine.written.set(path, text),
    run: async (command, args) => {
      machine.ran.push([command, ...args].join(' '));
      return { code: 0, output: '' };
    },
    keepRunning: (daemon) => void machine.daemons.push(daemon),
    addresses: () => machine.addressed,
    ipmi: async () => undefined,
    openDisk: noDisk,
    say: (line) => void machine.said.push(line),
    reboot: async () => void machine.reboots++,
    pause: async (ms, signal) => {
      await turn();
      signal.throwIfAborted();
      clockMs += ms;
    },
    now: () => clockMs,
    ...overrides,
  };
  return machine;
}

const noDisk: Machine['openDisk'] = (path) => Promise.reject(new DiskError('ENOENT', `${path} is no disk of this machine`));

function namesUnder(folder: string, paths: readonly string[]): readonly string[] {
  const inside = paths.filter((path) => path.startsWith(`${folder}/`)).map((path) => path.slice(folder.length + 1).split('/')[0]!);
  return [...new Set(inside)].sort();
}

/** One SMBIOS structure: `area` follows the four header bytes. */
export function aStructure(type: number, area: readonly number[], strings: readonly string[] = []): Uint8Array {
  const text = strings.length === 0 ? Buffer.from([0, 0]) : Buffer.from(`${strings.join('\0')}\0\0`, 'latin1');
  return Buffer.concat([Buffer.from([type, area.length + 4, 0, 0, ...area]), text]);
}

/** An entry point that says "3.2". */
export const SMBIOS_3_2 = Buffer.from([0x5f, 0x53, 0x4d, 0x33, 0x5f, 0, 0x18, 3, 2]);

/** A system structure (type 1) with this UUID, given in the bytes of SMBIOS 2.6 and later. */
export function aSystem(
  uuidBytes: string,
  strings: readonly string[] = ['Dell Inc.', 'PowerEdge R630', '1.0', '790H8D2', 'SKU', 'PowerEdge'],
): Uint8Array {
  return aStructure(1, [1, 2, 3, 4, ...Buffer.from(uuidBytes, 'hex'), 6, 5, 6], strings);
}
