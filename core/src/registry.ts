import { failure } from './errors.ts';

/** Named entries that plugins add; a second entry of one name is an error naming both plugins. */
export interface Registry<T extends { readonly name: string }> {
  add(entry: T): void;
  get(name: string): T | undefined;
  /** In the order in which they were added. */
  list(): readonly T[];
  /** The plugin that added the entry. */
  ownerOf(name: string): string | undefined;
}

/** The entries of one registry, and per plugin a view that signs what it adds. */
export class RegistryTable<T extends { readonly name: string }> {
  readonly #entries = new Map<string, { entry: T; owner: string }>();
  readonly #what: string;
  /** From then on nothing may be added: nobody would start or serve it. */
  isComplete = false;

  constructor(what: string) {
    this.#what = what;
  }

  /** The registry as `plugin` sees it. */
  for(plugin: string): Registry<T> {
    return {
      add: (entry) => this.#add(entry, plugin),
      get: (name) => this.#entries.get(name)?.entry,
      list: () => [...this.#entries.values()].map(({ entry }) => entry),
      ownerOf: (name) => this.#entries.get(name)?.owner,
    };
  }

  #add(entry: T, owner: string): void {
    if (this.isComplete) throw failure('SIDERO_REGISTERED_LATE', { plugin: owner, what: this.#what });
    if (typeof entry?.name !== 'string' || entry.name === '') throw failure('SIDERO_REGISTRY_ENTRY_INVALID', { plugin: owner, registry: this.#what });
    const known = this.#entries.get(entry.name);
    if (known) {
      throw failure('SIDERO_REGISTRY_CONFLICT', { registry: this.#what, name: entry.name, first: known.owner, second: owner });
    }
    this.#entries.set(entry.name, { entry, owner });
  }
}
