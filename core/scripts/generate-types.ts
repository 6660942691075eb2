/**
 * `npm run types`: writes the types of the CRDs in `<package>/manifests/crds` for each package folder that the command line names, as
 * its `scripts/types.json` says.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';

/** scripts/types.json of a package. */
interface Job {
  /** The file to write, from the package's folder. */
  readonly output: string;
  /** Module that has KubeObject and ObjectMeta, and the types of `lenders`. */
  readonly kinds: string;
  /** Package folders whose named types are imported, where a schema looks the same, instead of being declared again. */
  readonly lenders?: readonly string[];
  /** Schemas that get a type of their own, by their path. A schema that looks the same elsewhere gets the same type. */
  readonly names: Readonly<Record<string, string>>;
  /** What a type says of itself where the description at its place in `names` would be too narrow. */
  readonly comments: Readonly<Record<string, string>>;
}

/** The parts of an OpenAPI schema that the CRDs use. */
interface Schema {
  readonly type?: 'array' | 'boolean' | 'integer' | 'object' | 'string';
  readonly enum?: readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

interface NamedSchema {
  readonly name: string;
  readonly schema: Schema;
  /** Whether it is a lender's, and so is imported. */
  readonly isLent: boolean;
}

interface Definition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly storage: boolean; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

/** The whole text of a package's types, from its CRDs as they are on disk. `folder` is relative to the working directory. */
export function generateTypes(folder: string): string {
  const job = readJob(folder);
  const named = new Map((job.lenders ?? []).flatMap((lender) => [...namedSchemas(lender, true)]));
  for (const [shape, own] of namedSchemas(folder, false)) named.set(shape, own);

  const printer = new Printer(named);
  for (const { kind, apiVersion, schema } of readRoots(folder)) printer.declareKind(kind, apiVersion, schema);
  const imports = ['KubeObject', 'ObjectMeta', ...printer.lent].toSorted();
  return (
    [
      `// Generated from ${folder}/manifests/crds, do not edit, remake with npm run types.`,
      `import type { ${imports.join(', ')} } from '${job.kinds}';`,
      ...[...printer.declarations].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text),
    ].join('\n\n') + '\n'
  );
}

function readJob(folder: string): Job {
  return JSON.parse(readFileSync(join(folder, 'scripts/types.json'), 'utf8')) as Job;
}

function readRoots(folder: string): ReturnType<typeof rootOf>[] {
  const manifests = join(folder, 'manifests/crds');
  const files = readdirSync(manifests).toSorted();
  return files.map((file) => rootOf(load(readFileSync(join(manifests, file), 'utf8')) as Definition));
}

/** The schemas that the package names, by their shape. */
function namedSchemas(folder: string, isLent: boolean): ReadonlyMap<string, NamedSchema> {
  const { names, comments } = readJob(folder);
  const named = new Map<string, NamedSchema>();
  const collect = (path: string, schema: Schema): void => {
    const name = names[path];
    if (name) named.set(shapeOf(schema), { name, isLent, schema: { ...schema, description: comments[name] ?? schema.description ?? '' } });
    for (const [key, property] of Object.entries(schema.properties ?? {})) collect(`${path}.${key}`, property);
    if (schema.items) collect(`${path}[]`, schema.items);
  };
  for (const { kind, schema } of readRoots(folder)) collect(kind, schema);
  const found = new Set(Array.from(named.values(), ({ name }) => name));
  const missing = Object.values(names).filter((name) => !found.has(name));
  if (missing.length > 0) throw new Error(`generate-types: ${folder} has no schema for ${missing.join(', ')}; correct its scripts/types.json`);
  return named;
}

function rootOf(definition: Definition): { kind: string; apiVersion: string; schema: Schema } {
  const stored = definition.spec.versions.find(({ storage }) => storage)!;
  return { kind: definition.spec.names.kind, apiVersion: `${definition.spec.group}/${stored.name}`, schema: stored.schema.openAPIV3Schema };
}

/** Shape of a schema without its descriptions: what makes two schemas the same type. */
function shapeOf(schema: Schema): string {
  return JSON.stringify(schema, (key, value: unknown) => (key === 'description' && typeof value === 'string' ? undefined : value));
}

class Printer {
  /** Text of each declared type by its name. */
  readonly declarations = new Map<string, string>();
  /** Names of lenders' types that were used. */
  readonly lent = new Set<string>();
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
    const { name, isLent } = known;
    if (isLent) this.lent.add(name);
    else if (!this.declarations.has(name)) {
      this.declarations.set(name, `${comment(known.schema, '')}export interface ${name} {\n${this.#members(known.schema, '  ').join('\n')}\n}`);
    }
    return name;
  }

  #inline(schema: Schema, indent: string): string {
    switch (schema.type) {
      case 'string':
        return schema.enum?.map((value) => `'${value}'`).join(' | ') ?? 'string';
      case 'boolean':
        return schema.type;
      case 'integer':
        return 'number';
      case 'array':
        return `${this.#typeOf(schema.items!, indent)}[]`;
      case 'object':
        if (schema.additionalProperties) return `Record<string, ${this.#typeOf(schema.additionalProperties, indent)}>`;
        if (!schema.properties) return 'Record<string, never>';
        return `{\n${this.#members(schema, `${indent}  `).join('\n')}\n${indent}}`;
      default:
        return 'unknown';
    }
  }
}

function comment(schema: Schema, indent: string): string {
  return schema.description ? `${indent}/** ${schema.description} */\n` : '';
}

if (import.meta.main) {
  for (const folder of process.argv.slice(2)) writeFileSync(join(folder, readJob(folder).output), generateTypes(folder));
}
