import { isDeepStrictEqual } from 'node:util';
import type { ObjectBody, OldVersion } from './convert.ts';
import type { Environment, HardwareInformation, Processor, Qualifiers, Server, ServerClass, ServerClassSpec, ServerSpec } from './types.gen.ts';

// v1alpha1 of metal.sidero.dev knows two small parts of the hardware tree: six texts about the system, and two about the first processor.

type System = NonNullable<HardwareInformation['system']>;
type SystemInformation = Omit<System, 'uuid'>;

interface CpuInformation {
  manufacturer?: string;
  version?: string;
}

interface OldServerSpec extends Omit<ServerSpec, 'hardware' | 'strategicPatches'> {
  system?: SystemInformation;
  cpu?: CpuInformation;
}

interface OldQualifiers extends Omit<Qualifiers, 'hardware'> {
  systemInformation?: SystemInformation[];
  cpu?: CpuInformation[];
}

interface OldServerClassSpec extends Omit<ServerClassSpec, 'qualifiers' | 'strategicPatches'> {
  qualifiers?: OldQualifiers;
}

type Of<K extends ObjectBody, Spec> = { readonly spec?: Spec | undefined; readonly status?: K['status'] | undefined };

const SYSTEM_FIELDS = ['manufacturer', 'productName', 'version', 'serialNumber', 'skuNumber', 'family'] as const;
const PROCESSOR_FIELDS = ['manufacturer', 'productName'] as const;

/** Server: `system` and `cpu` are views of `hardware`; `strategicPatches` and the rest of `hardware` exist only in the hub. */
export const serverV1alpha1: OldVersion<Of<Server, ServerSpec>, Of<Server, OldServerSpec>> = {
  down: ({ spec, status }) => ({ spec: spec && oldServerSpec(spec), status }),
  up: ({ spec, status }, restored) => ({ spec: spec && hubServerSpec(spec, restored), status }),
};

/** ServerClass: each entry of `hardware` shows as an entry of `systemInformation`, of `cpu`, of both, or not at all. */
export const serverClassV1alpha1: OldVersion<Of<ServerClass, ServerClassSpec>, Of<ServerClass, OldServerClassSpec>> = {
  down: ({ spec, status }) => ({ spec: spec && oldServerClassSpec(spec), status }),
  up: ({ spec, status }, restored) => ({ spec: spec && hubServerClassSpec(spec, restored?.spec), status }),
};

/** Environment: both versions are the same. */
export const environmentV1alpha1: OldVersion<Pick<Environment, 'spec' | 'status'>, Pick<Environment, 'spec' | 'status'>> = {
  down: (hub) => hub,
  up: (old) => old,
};

function oldServerSpec(spec: ServerSpec): OldServerSpec {
  const { hardware, strategicPatches: _, ...shared } = spec;
  return { ...shared, ...defined({ system: systemOf(hardware), cpu: cpuOf(hardware) }) };
}

function hubServerSpec({ system, cpu, ...shared }: OldServerSpec, restored: Of<Server, ServerSpec> | undefined): ServerSpec {
  const hardware = restored ? editHardware(restored.spec?.hardware, { system, cpu }) : hardwareFrom({ system, cpu });
  return { ...shared, ...defined({ hardware, strategicPatches: restored?.spec?.strategicPatches }) };
}

function oldServerClassSpec(spec: ServerClassSpec): OldServerClassSpec {
  const { qualifiers, strategicPatches: _, ...shared } = spec;
  return { ...shared, ...defined({ qualifiers: qualifiers && oldQualifiers(qualifiers) }) };
}

function hubServerClassSpec({ qualifiers: given, ...shared }: OldServerClassSpec, restored: ServerClassSpec | undefined): ServerClassSpec {
  const { cpu, systemInformation, ...labels } = given ?? {};
  const hardware = editQualifiers(restored?.qualifiers?.hardware, { systemInformation: systemInformation ?? [], cpu: cpu ?? [] });
  const qualifiers = given || hardware ? { ...labels, ...defined({ hardware }) } : undefined;
  return { ...shared, ...defined({ qualifiers, strategicPatches: restored?.strategicPatches }) };
}

/** The members that are there: absent and null are one. */
function defined<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function systemOf(hardware: HardwareInformation | undefined): SystemInformation | undefined {
  const system = hardware?.system;
  return system ? defined(Object.fromEntries(SYSTEM_FIELDS.map((field) => [field, system[field]]))) : undefined;
}

function cpuOf(hardware: HardwareInformation | undefined): CpuInformation | undefined {
  const processor = hardware?.compute?.processors?.[0];
  return processor ? defined({ manufacturer: processor.manufacturer, version: processor.productName }) : undefined;
}

function processorFrom(cpu: CpuInformation | undefined): Processor {
  return defined({ manufacturer: cpu?.manufacturer, productName: cpu?.version });
}

interface OldHardware {
  readonly system?: SystemInformation | undefined;
  readonly cpu?: CpuInformation | undefined;
}

function hardwareFrom({ system, cpu }: OldHardware): HardwareInformation | undefined {
  if (!system && !cpu) return undefined;
  return { ...(system ? { system: systemOf({ system })! } : {}), ...(cpu ? { compute: { processors: [processorFrom(cpu)] } } : {}) };
}

/** `hardware` with its system and its first processor edited as the two views say; the very same one when they say nothing new. */
function editHardware(hardware: HardwareInformation | undefined, { system, cpu }: OldHardware): HardwareInformation | undefined {
  const [first, ...others] = hardware?.compute?.processors ?? [];
  const nextSystem = edit<System>(hardware?.system, system ?? {}, SYSTEM_FIELDS);
  const nextFirst = edit<Processor>(first, processorFrom(cpu), PROCESSOR_FIELDS);
  if (nextSystem === hardware?.system && nextFirst === first) return hardware;
  const compute = nextFirst === first ? hardware?.compute : { ...hardware?.compute, processors: [nextFirst!, ...others] };
  return { ...hardware, ...defined({ system: nextSystem, compute }) };
}

/** `known` with the fields in which `wanted` differs, empty and absent being one; `known` itself when there is none. */
function edit<T extends object>(known: T | undefined, wanted: T, fields: readonly (keyof T)[]): T | undefined {
  const changed = fields.filter((field) => (known?.[field] ?? '') !== (wanted[field] ?? ''));
  if (changed.length === 0) return known;
  const next = { ...known } as T;
  for (const field of changed) {
    if (wanted[field]) next[field] = wanted[field];
    else delete next[field];
  }
  return next;
}

interface OldHardwareLists {
  readonly systemInformation: readonly SystemInformation[];
  readonly cpu: readonly CpuInformation[];
}

function oldQualifiers({ hardware, ...labels }: Qualifiers): OldQualifiers {
  const { systemInformation, cpu } = oldLists(hardware ?? []);
  return { ...labels, ...(systemInformation.length > 0 ? { systemInformation } : {}), ...(cpu.length > 0 ? { cpu } : {}) };
}

function oldLists(entries: readonly HardwareInformation[]): { systemInformation: SystemInformation[]; cpu: CpuInformation[] } {
  return {
    systemInformation: entries.map(systemOf).filter((part) => part !== undefined),
    cpu: entries.map(cpuOf).filter((part) => part !== undefined),
  };
}

/** An entry of the result: the entry it was, and what is now said of its two visible parts. */
interface Draft {
  readonly was?: HardwareInformation;
  system?: SystemInformation;
  cpu?: CpuInformation;
}

/**
 * The entries of `hardware` after the two lists that show them were edited. Entries that show in neither list stay. An entry
 * whose every visible part was taken out goes; one that keeps a part keeps what else it demands. What is new becomes an entry.
 */
function editQualifiers(entries: HardwareInformation[] | undefined, lists: OldHardwareLists): HardwareInformation[] | undefined {
  const shown = oldLists(entries ?? []);
  if (isSameList(shown.systemInformation, lists.systemInformation) && isSameList(shown.cpu, lists.cpu)) return entries;

  const drafts = (entries ?? []).map((was): Draft => ({ was }));
  const visible = (of: typeof systemOf | typeof cpuOf) =>
    drafts.flatMap((draft) => {
      const part = of(draft.was);
      return part ? [{ draft, part }] : [];
    });
  const bySystem = align(visible(systemOf), lists.systemInformation, (draft, system) => (draft.system = system));
  const byCpu = align(visible(cpuOf), lists.cpu, (draft, cpu) => (draft.cpu = cpu));
  const hidden = drafts.filter(({ was }) => !systemOf(was) && !cpuOf(was));
  return [...interleave(bySystem, byCpu), ...hidden].map(entryOf);
}

/** For each wanted part the draft it belongs to: one that showed the same, else the one in its place if as many are left over, else a new one. */
function align<Part extends object>(
  known: readonly { draft: Draft; part: object }[],
  wanted: readonly Part[],
  assign: (draft: Draft, part: Part) => void,
): Draft[] {
  const left = [...known];
  const take = (at: number) => (at < 0 ? undefined : left.splice(at, 1)[0]?.draft);
  const found = wanted.map((part) => take(left.findIndex((slot) => isSamePart(slot.part, part))));
  const editedInPlace = found.filter((draft) => !draft).length === left.length;
  return wanted.map((part, index) => {
    const draft = found[index] ?? (editedInPlace ? take(0) : undefined) ?? {};
    assign(draft, part);
    return draft;
  });
}

/** All drafts once, in the order of both lists; where the two contradict each other the first one wins. */
function interleave(bySystem: readonly Draft[], byCpu: readonly Draft[]): Draft[] {
  const inSystem = new Set(bySystem);
  const order = new Set<Draft>();
  let next = 0;
  for (const draft of bySystem) {
    const at = byCpu.indexOf(draft, next);
    for (; next <= at; next++) if (!inSystem.has(byCpu[next]!)) order.add(byCpu[next]!);
    order.add(draft);
  }
  for (const draft of byCpu) order.add(draft);
  return [...order];
}

function entryOf({ was, system, cpu }: Draft): HardwareInformation {
  if (!was) return hardwareFrom({ system, cpu })!;
  const { system: oldSystem, compute, ...rest } = was;
  const { processors, ...counts } = compute ?? {};
  const [first, ...others] = processors ?? [];
  const next = {
    system: system && edit<System>(oldSystem, system, SYSTEM_FIELDS),
    compute: cpu ? { ...counts, processors: [edit<Processor>(first, processorFrom(cpu), PROCESSOR_FIELDS)!, ...others] } : first ? counts : compute,
  };
  return { ...rest, ...defined(next) };
}

/** Whether two parts say the same; Go clients don't write empty texts, so empty and absent are one. */
function isSamePart(a: object, b: object): boolean {
  const said = (part: object) => Object.fromEntries(Object.entries(part).filter(([, text]) => text));
  return isDeepStrictEqual(said(a), said(b));
}

function isSameList(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((part, index) => isSamePart(part, b[index]!));
}
