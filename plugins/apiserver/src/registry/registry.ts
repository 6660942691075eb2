import { unknownPath } from '../status.ts';
import type { ResourceType, ResourceVersion } from './resource-type.ts';
import { storeName } from './resource-type.ts';

/** A resource in one of its served versions. */
export interface Served {
  readonly type: ResourceType;
  readonly version: ResourceVersion;
}

/** The resources that are served now; definitions come and go. */
export class TypeRegistry {
  readonly #types = new Map<string, ResourceType>();
  #generation = 0;

  /** Adds, or replaces the one with the same store name. */
  set(type: ResourceType): void {
    this.#types.set(storeName(type), type);
    this.#generation += 1;
  }

  delete(name: string): void {
    if (this.#types.delete(name)) this.#generation += 1;
  }

  /** Changes whenever what is served does; what derives from it can be kept as long as it stays. */
  get generation(): number {
    return this.#generation;
  }

  /** By store name: `servers.metal.sidero.dev`. */
  get(name: string): ResourceType | undefined {
    return this.#types.get(name);
  }

  list(): readonly ResourceType[] {
    return [...this.#types.values()];
  }

  /** @throws a Status 404 when the version of the resource is not served. */
  find(group: string, version: string, plural: string): Served {
    const type = this.#types.get(storeName({ group, plural }));
    const served = type?.versions.find(({ name }) => name === version);
    if (!type || !served) throw unknownPath();
    return { type, version: served };
  }
}
