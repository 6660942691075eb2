import type { MachineTokens, ServerBinding } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { FORMER_KEYS_ANNOTATION, JOIN_ANNOTATION, judgeProvision, keysAfter, PIN_ANNOTATION, pinOf } from './provision-claim.ts';

const tokens: MachineTokens = {
  sign: async (purpose, { uuid }) => `${purpose} ${uuid}`,
  check: async (purpose, { uuid, metalMachine }, token) => token === `${purpose} ${uuid}` && metalMachine.name === 'mm',
};
const bindingWith = (annotations: Record<string, string> = {}): ServerBinding => ({
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
  kind: 'ServerBinding',
  metadata: { name: 'u', annotations },
  spec: { metalMachineRef: { namespace: 'default', name: 'mm' } },
});
const pinned = (machine: string) => ({ [PIN_ANNOTATION]: pinOf(bindingWith(), machine) });
/** Of a machine that had these keys, one after the other. */
const formerly = (...keys: readonly string[]) => {
  let binding = bindingWith();
  for (const [index, key] of keys.entries()) {
    const former = keysAfter({ ...binding, spec: { ...binding.spec!, siderolink: { address: '', publicKey: keys[index - 1] ?? '' } } }, key);
    binding = bindingWith(former === '' ? {} : { [FORMER_KEYS_ANNOTATION]: former });
  }
  return { ...binding.metadata.annotations };
};
const SHOWN = { [JOIN_ANNOTATION]: 'shown' };
const judged = (
  given: { token?: string; machine?: string; annotations?: Record<string, string>; own?: boolean; key?: string },
  bootAuth: 'require' | 'report' = 'require',
) =>
  judgeProvision(tokens, bootAuth, {
    binding: bindingWith(given.annotations),
    token: given.token ?? '',
    machineToken: given.machine ?? '',
    publicKey: given.key ?? 'new key',
    hasOwnArgument: given.own ?? false,
  });

describe.each([
  ['its token', { token: 'join u' }, { admitted: 'proven' }],
  ['the token of its configuration', { token: 'config u' }, { refused: 'token' }],
  ['the token of another machine', { token: 'join v' }, { refused: 'token' }],
  ['none, from before tokens', {}, { admitted: 'open' }],
  ['none, as before', { annotations: { [JOIN_ANNOTATION]: 'none' } }, { admitted: 'open' }],
  ['none after it was given one', { annotations: { [JOIN_ANNOTATION]: 'given' } }, { refused: 'token' }],
  ['none after it showed one', { annotations: { [JOIN_ANNOTATION]: 'shown' } }, { refused: 'token' }],
  ["none, by the user's own argument", { own: true, annotations: { [JOIN_ANNOTATION]: 'shown' } }, { admitted: 'own-argument' }],
  ['one of the user, with his own argument', { own: true, token: 'his' }, { admitted: 'own-argument' }],
  ['its token and its disk', { token: 'join u', machine: 'm', annotations: pinned('m') }, { admitted: 'proven' }],
  ['its token and another disk', { token: 'join u', machine: 'n', annotations: { ...pinned('m'), ...SHOWN } }, { refused: 'machine' }],
  ['its token and no disk', { token: 'join u', annotations: { ...pinned('m'), ...SHOWN } }, { refused: 'machine' }],
  ['its token, and another disk than one without a token had', { token: 'join u', machine: 'n', annotations: pinned('m') }, { admitted: 'proven' }],
  ['a key that it had at an earlier boot', { token: 'join u', key: 'key 1', annotations: formerly('key 1', 'key 2') }, { refused: 'key' }],
  ['the key of its last boot, again', { token: 'join u', key: 'key 2', annotations: formerly('key 1', 'key 2') }, { admitted: 'proven' }],
  ['no token and another disk', { machine: 'n', annotations: pinned('m') }, { refused: 'machine' }],
] as const)('a machine that shows %s', (_, given, verdict) => {
  test('is judged by it', async () => {
    expect(await judged(given)).toMatchObject(verdict);
  });

  test('is let in where no proof is required, and known to be unproven', async () => {
    expect(await judged(given, 'report')).toMatchObject('refused' in verdict ? { admitted: 'unproven' } : verdict);
  });
});

test('the last keys of a machine are remembered, not all of them', async () => {
  const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`);
  const annotations = formerly(...keys);
  expect(annotations[FORMER_KEYS_ANNOTATION]!.split(' ')).toHaveLength(32);
  expect(await judged({ token: 'join u', key: 'key 98', annotations })).toMatchObject({ refused: 'key' });
  expect(await judged({ token: 'join u', key: 'key 99', annotations })).toMatchObject({ admitted: 'proven' });
});
