import type { Ref, Secret, Server } from '../../index.ts';

/** Which servers read the login of their BMC from which Secret. */
export class SecretReaders {
  readonly #servers = new Map<string, Set<string>>();
  readonly #secrets = new Map<string, readonly string[]>();

  /** Notes what the Server says now. */
  note({ metadata: { name }, spec }: Server): void {
    const refs = [spec?.bmc?.userFrom?.secretKeyRef, spec?.bmc?.passFrom?.secretKeyRef].filter((ref) => ref !== undefined);
    const secrets = refs.map((ref) => `${ref.namespace}/${ref.name}`);
    if (secrets.join() === (this.#secrets.get(name) ?? []).join()) return;
    this.forget(name);
    for (const secret of secrets) this.#servers.set(secret, (this.#servers.get(secret) ?? new Set()).add(name));
    this.#secrets.set(name, secrets);
  }

  forget(name: string): void {
    for (const secret of this.#secrets.get(name) ?? []) {
      const servers = this.#servers.get(secret);
      servers?.delete(name);
      if (servers?.size === 0) this.#servers.delete(secret);
    }
    this.#secrets.delete(name);
  }

  of({ metadata }: Pick<Secret, 'metadata'>): readonly Ref[] {
    return [...(this.#servers.get(`${metadata.namespace}/${metadata.name}`) ?? [])].map((name) => ({ name }));
  }
}
