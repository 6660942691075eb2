import type { Admission, AdmissionRequest, FieldError } from './custom-resource.ts';
import type { Server, ServerSpec } from './types.gen.ts';

const DISK_BOOT_METHODS = ['', 'ipxe-exit', 'http-404', 'ipxe-sanboot'];
const PXE_MODES = ['', 'bios', 'uefi'];
const BMC_INTERFACES = ['', 'lanplus', 'lan', 'open'];
const MAX_PORT = 65_535;
const PATCH_OPERATIONS = ['add', 'copy', 'move', 'remove', 'replace', 'test'];

/** Names that plugins brought beside the original's. */
export interface BroughtNames {
  readonly diskBoots?: readonly string[];
  readonly bmcInterfaces?: readonly string[];
}

/** The rules for a Server in either version; a removal is always allowed. All violations are told, in this order. */
export function validateServer({ operation, object, oldObject }: AdmissionRequest, brought: BroughtNames = {}): Admission {
  const spec = (object as Server | undefined)?.spec;
  if (operation === 'DELETE' || !spec) return { allowed: true };
  const errors = [
    ...oneOf('spec.bootFromDiskMethod', spec.bootFromDiskMethod ?? '', [...new Set([...DISK_BOOT_METHODS, ...(brought.diskBoots ?? [])])]),
    ...oneOf('spec.pxeMode', spec.pxeMode ?? '', PXE_MODES),
    ...(spec.configPatches ?? []).flatMap(({ op }, index) => oneOf(`spec.configPatches.${index}.op`, op ?? '', PATCH_OPERATIONS)),
    ...wrongInBmc(spec.bmc, (oldObject as Server | undefined)?.spec?.bmc, brought.bmcInterfaces ?? []),
  ];
  return errors.length > 0 ? { allowed: false, reason: 'Invalid', errors } : { allowed: true };
}

type Bmc = ServerSpec['bmc'];

// The original takes any interface and any port, and fails later. What such a Server has already stays allowed: only a change is judged.
function wrongInBmc(bmc: Bmc, before: Bmc, brought: readonly string[]): FieldError[] {
  const [named, port] = [bmc?.interface ?? '', bmc?.port ?? 0];
  const isNewPort = port !== before?.port && (port < 0 || port > MAX_PORT);
  return [
    ...(named === before?.interface ? [] : oneOf('spec.bmc.interface', named, [...new Set([...BMC_INTERFACES, ...brought])])),
    ...(isNewPort ? [{ field: 'spec.bmc.port', value: port, detail: `must be a port from 0 to ${MAX_PORT}` }] : []),
  ];
}

function oneOf(field: string, value: string, valid: readonly string[]): FieldError[] {
  if (valid.includes(value)) return [];
  return [{ field, value, detail: `valid values are: [${valid.map((known) => JSON.stringify(known)).join(' ')}]` }];
}

/** meta/v1 Status of a request that failed. */
export interface FailureStatus {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: 'Failure';
  readonly message: string;
  readonly reason: 'Invalid' | 'BadRequest';
  readonly details?: {
    readonly name: string;
    readonly group: string;
    readonly kind: string;
    readonly causes: readonly { readonly reason: 'FieldValueInvalid'; readonly message: string; readonly field: string }[];
  };
  readonly code: 422 | 400;
}

/** How a denial is told to the client, worded as Kubernetes words its own. */
export function denialStatus(
  denial: Admission & { allowed: false },
  about: { readonly group: string; readonly kind: string; readonly name: string },
): FailureStatus {
  const failed = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' } as const;
  if (denial.reason === 'BadRequest') return { ...failed, message: denial.message, reason: 'BadRequest', code: 400 };

  const { group, kind, name } = about;
  const causes = denial.errors.map((error) => ({ reason: 'FieldValueInvalid', message: describe(error), field: error.field }) as const);
  const texts = [...new Set(causes.map(({ field, message }) => `${field}: ${message}`))];
  const all = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  return {
    ...failed,
    message: `${kind}.${group} ${JSON.stringify(name)} is invalid: ${all}`,
    reason: 'Invalid',
    details: { name, group, kind, causes },
    code: 422,
  };
}

function describe({ value, detail }: FieldError): string {
  return `Invalid value: ${JSON.stringify(value) ?? 'null'}: ${detail}`;
}
