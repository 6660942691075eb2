/** Writes core/src/resources/types.gen.ts from the CRDs in core/manifests/crds: `npm run types`. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { load } from 'js-yaml';

/** The parts of an OpenAPI schema that the CRDs use. */
interface Schema {
  readonly type?: 'array' | 'boolean' | 'integer' | 'object' | 'string';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

interface NamedSchema {
  readonly name: string;
  readonly schema: Schema;
}

interface Definition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly storage: boolean; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

const MANIFESTS = new URL('../manifests/crds/', import.meta.url);
const OUTPUT = new URL('../src/resources/types.gen.ts', import.meta.url);

// Schemas that get a type of their own. A schema that looks the same elsewhere gets the same type.
const NAMES: Readonly<Record<string, string>> = {
  'Environment.spec': 'EnvironmentSpec',
  'Environment.status': 'EnvironmentStatus',
  'Environment.status.conditions[]': 'EnvironmentCondition',
  'Server.spec': 'ServerSpec',
  'Server.spec.bmc': 'Bmc',
  'Server.spec.bmc.userFrom.secretKeyRef': 'SecretKeyRef',
  'Server.spec.configPatches[]': 'ConfigPatch',
  'Server.spec.environmentRef': 'ObjectReference',
  'Server.spec.hardware': 'HardwareInformation',
  'Server.spec.hardware.compute.processors[]': 'Processor',
  'Server.spec.hardware.memory.modules[]': 'MemoryModule',
  'Server.spec.hardware.network.interfaces[]': 'NetworkInterface',
  'Server.spec.hardware.storage.devices[]': 'StorageDevice',
  'Server.status': 'ServerStatus',
  'Server.status.addresses[]': 'NodeAddress',
  'Server.status.boot': 'BootRecord',
  'Server.status.conditions[]': 'Condition',
  'ServerBinding.spec': 'ServerBindingSpec',
  'ServerBinding.status': 'ServerBindingStatus',
  'ServerClass.spec': 'ServerClassSpec',
  'ServerClass.spec.qualifiers': 'Qualifiers',
  'ServerClass.spec.selector': 'LabelSelector',
  'ServerClass.status': 'ServerClassStatus',
};

// What a type says of itself where the description at its place above would be too narrow.
const COMMENTS: Readonly<Record<string, string>> = {
  HardwareInformation: 'Inventory of a machine, or in a ServerClass what is demanded of it.',
  LabelSelector: "Kubernetes' label selector; all of its terms must hold.",
  ObjectReference: 'A reference to another object.',
};

/** The whole text of types.gen.ts, from the CRDs as they are on disk. */
export function generateTypes(): string {
  const files = readdirSync(MANIFESTS).toSorted();
  const roots = files.map((file) => rootOf(load(readFileSync(new URL(file, MANIFESTS), 'utf8')) as Definition));
  const named = new Map<string, NamedSchema>();
  for (const { kind, schema } of roots) collectNames(kind, schema, named);
  const found = new Set(Array.from(named.values(), ({ name }) => name));
  const missing = Object.values(NAMES).filter((name) => !found.has(name));
  if (missing.length > 0) throw new Error(`generate-types: no schema in ${MANIFESTS.pathname} for ${missing.join(', ')}; correct NAMES`);

  const printer = new Printer(named);
  for (const { kind, apiVersion, schema } of roots) printer.declareKind(kind, apiVersion, schema);
  return (
    [
      '// Generated from core/manifests/crds, do not edit, remake with npm run types.',
      "import type { KubeObject, ObjectMeta } from './kinds.ts';",
      ...[...printer.declarations].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text),
    ].join('\n\n') + '\n'
  );
}

function rootOf(definition: Definition): { kind: string; apiVersion: string; schema: Schema } {
  const stored = definition.spec.versions.find(({ storage }) => storage)!;
  return { kind: definition.spec.names.kind, apiVersion: `${definition.spec.group}/${stored.name}`, schema: stored.schema.openAPIV3Schema };
}

/** Shape of a schema without its descriptions: what makes two schemas the same type. */
function shapeOf(schema: Schema): string {
  return JSON.stringify(schema, (key, value: unknown) => (key === 'description' && typeof value === 'string' ? undefined : value));
}

function collectNames(path: string, schema: Schema, named: Map<string, NamedSchema>): void {
  const name = NAMES[path];
  if (name) named.set(shapeOf(schema), { name, schema: { ...schema, description: COMMENTS[name] ?? schema.description ?? '' } });
  for (const [key, property] of Object.entries(schema.properties ?? {})) collectNames(`${path}.${key}`, property, named);
  if (schema.items) collectNames(`${path}[]`, schema.items, named);
}

class Printer {
  /** Text of each declared type by its name. */
  readonly declarations = new Map<string, string>();
  readonly #named: ReadonlyMap<string, NamedSchema>;

  constructor(named: ReadonlyMap<string, NamedSchema>) {
    this.#named = named;
  }

  declareKind(kind: string, apiVersion: string, schema: Schema): void {
    const { spec, status } = schema.properties!;
    const members = [
      `  apiVersion: '${apiVersion}';`,
      `  kind: '${kind}';`,
      '  metadata: ObjectMeta;',
      ...this.#members({ properties: { spec: spec!, status: status! } }, '  '),
    ];
    this.declarations.set(kind, `${comment(schema, '')}export interface ${kind} extends KubeObject {\n${members.join('\n')}\n}`);
  }

  #members(schema: Schema, indent: string): string[] {
    return Object.entries(schema.properties ?? {}).map(([key, property]) => {
      const optional = schema.required?.includes(key) ? '' : '?';
      return `${comment(property, indent)}${indent}${key}${optional}: ${this.#typeOf(property, indent)};`;
    });
  }

  #typeOf(schema: Schema, indent: string): string {
    const known = this.#named.get(shapeOf(schema));
    if (!known) return this.#inline(schema, indent);
    const { name } = known;
    if (!this.declarations.has(name)) {
      this.declarations.set(name, `${comment(known.schema, '')}export interface ${name} {\n${this.#members(known.schema, '  ').join('\n')}\n}`);
    }
    return name;
  }

  #inline(schema: Schema, indent: string): string {
    switch (schema.type) {
      case 'string':
      case 'boolean':
        return schema.type;
      case 'integer':
        return 'number';
      case 'array':
        return `${this.#typeOf(schema.items!, indent)}[]`;
      case 'object':
        if (schema.additionalProperties) return `Record<string, ${this.#typeOf(schema.additionalProperties, indent)}>`;
        return `{\n${this.#members(schema, `${indent}  `).join('\n')}\n${indent}}`;
      default:
        return 'unknown';
    }
  }
}

function comment(schema: Schema, indent: string): string {
  return schema.description ? `${indent}/** ${schema.description} */\n` : '';
}

if (import.meta.main) writeFileSync(OUTPUT, generateTypes());
