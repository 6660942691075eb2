import type { KubeObject, Ref } from '@sidero/core';
import { keyOf } from '../kinds.ts';

/** Who belongs to which Cluster, as last seen: what a change of the Cluster concerns. */
export class ClusterMembers {
  readonly #members = new Map<string, Map<string, Ref>>();
  readonly #clusters = new Map<string, string>();

  note(member: Ref, cluster: string | undefined): void {
    const key = keyOf(member);
    const of = cluster === undefined ? undefined : keyOf({ ...member, name: cluster });
    const before = this.#clusters.get(key);
    if (before === of) return;
    if (before !== undefined) this.#leave(before, key);
    if (of === undefined) return;
    this.#clusters.set(key, of);
    this.#members.set(of, (this.#members.get(of) ?? new Map<string, Ref>()).set(key, member));
  }

  of({ metadata }: KubeObject): readonly Ref[] {
    return [...(this.#members.get(keyOf(metadata))?.values() ?? [])];
  }

  #leave(cluster: string, key: string): void {
    this.#clusters.delete(key);
    const members = this.#members.get(cluster);
    members?.delete(key);
    if (members?.size === 0) this.#members.delete(cluster);
  }
}
