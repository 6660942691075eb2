import { randomBytes } from 'node:crypto';
import { hasCode } from '../errors.ts';
import type { ResourceClient } from '../resources/client.ts';
import { type Secret, SecretKind } from '../resources/kinds.ts';

/** Where the key of all boot tokens lies; `clusterctl move` takes it along. */
const REF = { namespace: 'default', name: 'sidero-boot' };

/** The key that signs boot tokens; made by whichever replica looks first. */
export async function readBootKey(resources: ResourceClient): Promise<Uint8Array> {
  const keyOf = (secret: Secret | undefined) => (secret?.data?.['key'] ? Buffer.from(secret.data['key'], 'base64') : undefined);
  const known = keyOf(await resources.get(SecretKind, REF, { live: true }));
  if (known) return known;
  const key = randomBytes(32);
  try {
    await resources.create(SecretKind, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...REF, labels: { 'clusterctl.cluster.x-k8s.io/move': '' } },
      data: { key: key.toString('base64') },
    });
    return key;
  } catch (thrown) {
    if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) throw thrown;
    return keyOf(await resources.get(SecretKind, REF, { live: true })) ?? Promise.reject(thrown);
  }
}
