import { isDeepStrictEqual } from 'node:util';
import { copyJson, hasCode, type Kind, type KubeObject, type ResourceClient } from '@sidero/core';

/**
 * Edits an object, and writes only when that makes a difference to what is known of it: an object at rest costs no call of the API. Gives the object
 * as it is then; undefined when it is gone.
 */
export async function writeDifference<T extends KubeObject>(
  resources: ResourceClient,
  kind: Kind<T>,
  { object, edit }: { readonly object: T; readonly edit: (draft: T) => void },
): Promise<T | undefined> {
  const wanted = copyJson(object);
  edit(wanted);
  if (isDeepStrictEqual(wanted, object)) return object;
  try {
    return await resources.change(kind, object.metadata, edit);
  } catch (thrown) {
    if (hasCode(thrown, 'SIDERO_RESOURCE_MISSING')) return undefined;
    throw thrown;
  }
}
