import { type ApiObject, type JsonObject, textOf } from './object.ts';
import type { Column, ResourceVersion } from './registry/resource-type.ts';

/** How much of the object a row of a table carries. */
export type RowObject = 'None' | 'Metadata' | 'Object';

/** The head of a table: what its columns are. */
export function columnDefinitions({ columns }: ResourceVersion): JsonObject[] {
  return columns.map(({ name, type, format, description, priority }) => ({ name, type, format, description, priority }));
}

/** One object as a row. Ages are whole at `now`, as kubectl prints them. */
export function tableRow(object: ApiObject, { columns }: ResourceVersion, include: RowObject): JsonObject {
  return { cells: columns.map((column) => cell(column, object)), object: rowObject(object, include) };
}

/** A `meta.k8s.io/v1` Table of objects. */
export function table(objects: readonly ApiObject[], version: ResourceVersion, options: { include: RowObject; metadata: JsonObject }): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.metadata,
    columnDefinitions: columnDefinitions(version),
    rows: objects.map((object) => tableRow(object, version, options.include)),
  };
}

function rowObject(object: ApiObject, include: RowObject): JsonObject | null {
  if (include === 'None') return null;
  return include === 'Object' ? object : partialMetadata(object);
}

/** The object without anything but its metadata. */
export function partialMetadata({ metadata }: ApiObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}

function cell({ type, cell: read }: Column, object: ApiObject): unknown {
  const value = read(object);
  if (value === undefined || value === null) return type === 'date' ? '<unknown>' : null;
  if (type === 'date') return ageOf(textOf(value));
  if (type === 'integer' || type === 'number') return typeof value === 'number' ? value : Number(value);
  if (type === 'boolean') return typeof value === 'boolean' ? value : textOf(value);
  return textOf(value);
}

/** The time since an instant, in the short form of kubectl: 45s, 3m20s, 5h, 12d. */
export function ageOf(instant: string, nowMs = Date.now()): string {
  const thenMs = Date.parse(instant);
  if (Number.isNaN(thenMs)) return '<invalid>';
  const seconds = Math.floor((nowMs - thenMs) / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  return shortDuration(seconds);
}

function shortDuration(seconds: number): string {
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  const days = Math.floor(hours / 24);
  const two = (big: string, small: number, unit: string) => (small === 0 ? big : `${big}${small}${unit}`);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return two(`${minutes}m`, seconds % 60, 's');
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return two(`${hours}h`, minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (hours < 192) return two(`${days}d`, hours % 24, 'h');
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? two(`${years}y`, days % 365, 'd') : `${years}y`;
}
