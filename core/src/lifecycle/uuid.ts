// Firmware defaults seen on many machines of different owners: useless as a name.
const SHARED_BY_MANY = new Set([
  '03000200-0400-0500-0006-000700080009',
  '12345678-1234-5678-90ab-cddeefaabbcc',
  '00020003-0004-0005-0006-000700080009',
  'fefefefe-fefe-fefe-fefe-fefefefefefe',
]);

/** Why a machine must not be registered under this SMBIOS UUID; undefined when it may. */
export function problemOfUuid(uuid: string): string | undefined {
  if (uuid === '') return 'it is empty';
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return 'it is not 32 hexadecimal digits in groups of 8-4-4-4-12, in lower case';
  if (/^[0-]+$/.test(uuid)) return 'it is all zeros: the firmware has none';
  if (/^[f-]+$/.test(uuid)) return 'it is all ones: the firmware has none';
  if (SHARED_BY_MANY.has(uuid)) return 'it is a firmware default that many machines share';
  return undefined;
}
