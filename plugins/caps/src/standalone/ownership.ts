import type { KubeObject, ObjectMeta } from '@sidero/core';

type OwnerReferences = NonNullable<ObjectMeta['ownerReferences']>;

/** The owners of an object with this one among them, as it is now; owners of other kinds or names stay. A controlling owner takes the place of another one. */
export function ownedBy({ metadata }: KubeObject, owner: KubeObject, { controller }: { readonly controller: boolean }): OwnerReferences {
  const { apiVersion, kind } = owner;
  const { name, uid = '' } = owner.metadata;
  const groupOf = (text: string) => text.split('/')[0];
  const others = (metadata.ownerReferences ?? [])
    .filter((known) => !(known.kind === kind && known.name === name && groupOf(known.apiVersion) === groupOf(apiVersion)))
    .map(({ controller: controls, ...known }) => ({ ...known, ...(controls !== undefined && !controller ? { controller: controls } : {}) }));
  return [...others, { apiVersion, kind, name, uid, ...(controller ? { controller, blockOwnerDeletion: true } : {}) }];
}
