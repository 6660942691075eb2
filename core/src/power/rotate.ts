import { randomInt } from 'node:crypto';
import { hasCode, SideroError } from '../errors.ts';
import type { BmcLogin } from '../registries.ts';
import type { ResourceClient } from '../resources/client.ts';
import { type SecretKeyRef, SecretKind, type Server } from '../resources/kinds.ts';
import { valueIn } from './login.ts';
import { ownPassword } from './own-password.ts';
import { worstOf } from './power-errors.ts';
import type { Way } from './way.ts';

/** What a password is changed with. */
export interface Rotation {
  readonly server: Server;
  readonly resources: ResourceClient;
  /** Those of drivers with a login; the first that can change passwords does it. */
  readonly ways: readonly Way[];
}

/** IPMI 1.5 allows no more. */
const PASS_LENGTH = 16;
// One of each at least: many BMCs insist. What is easily misread, or means something to a shell or a YAML reader, is left out.
const SORTS = ['ABCDEFGHJKLMNPQRSTUVWXYZ', 'abcdefghijkmnopqrstuvwxyz', '23456789', '-_.'] as const;

/**
 * New password into the Secret beside the old one, then onto the device, then proven by a login, then in place of the old one: at any point one of
 * the two in the Secret is the device's.
 * @throws SIDERO_BMC_LOGIN_MISSING, SIDERO_BMC_ROTATE_REFUSED and what drivers throw
 */
export async function rotate(rotation: Rotation): Promise<string> {
  const { login, ref } = await ownPassword(rotation.resources, rotation.server);
  const { next, isLeft } = await writeNext(rotation.resources, ref);
  const changed = { ...login, pass: next };
  const close = () => Promise.all(rotation.ways.map((way) => way.close()));
  // What is open would prove nothing.
  await close();
  await changeByAny(rotation, { ref, login, changed, isLeft });
  await settle(rotation.resources, ref, next);
  await close();
  return `user ${login.user} has a new password, kept in Secret ${ref.namespace}/${ref.name}`;
}

interface Change {
  readonly ref: SecretKeyRef;
  readonly login: BmcLogin;
  readonly changed: BmcLogin;
  /** An earlier attempt left the new password, and may have given it to the device. */
  readonly isLeft: boolean;
}

// What one way could not do, or not tell, the next may.
async function changeByAny({ ways, resources }: Rotation, given: Change): Promise<void> {
  const failed: { readonly problem: SideroError }[] = [];
  for (const way of ways) {
    try {
      return await change(way, { ...given, isLeft: given.isLeft || failed.length > 0 });
    } catch (thrown) {
      if (!(thrown instanceof SideroError)) throw thrown;
      failed.push({ problem: thrown });
    }
  }
  const worst = worstOf(failed)?.problem;
  if (hasCode(worst, 'SIDERO_BMC_UNSUPPORTED')) await takeBack(resources, given.ref);
  throw worst;
}

async function writeNext(resources: ResourceClient, ref: SecretKeyRef): Promise<{ next: string; isLeft: boolean }> {
  const made = newPassword();
  const secret = await resources.change(SecretKind, ref, (draft) => {
    if (valueIn(draft, nextKeyOf(ref))) return false;
    draft.data = { ...draft.data, [nextKeyOf(ref)]: Buffer.from(made).toString('base64') };
    return undefined;
  });
  const next = valueIn(secret, nextKeyOf(ref)) ?? made;
  return { next, isLeft: next !== made };
}

async function change(way: Way, { login, changed, isLeft }: Change): Promise<void> {
  try {
    const isDone = await way.tell(
      'changePassword',
      async (session, signal) => {
        await session.changePassword?.(changed.pass, signal);
        return session.changePassword !== undefined;
      },
      { alone: true, login },
    );
    if (!isDone) throw way.unsupported('it cannot change passwords');
  } catch (thrown) {
    // Done before, or done now and not told, as with a lost answer? A login says.
    const codes = ['SIDERO_BMC_FAULT', 'SIDERO_BMC_UNREACHABLE', ...(isLeft ? ['SIDERO_BMC_AUTH'] : [])];
    if (thrown instanceof SideroError && codes.includes(thrown.code) && (await holds(way, changed))) return;
    throw thrown;
  }
  way.forgive(changed);
  await prove(way, changed);
}

// Some drivers log in with the first command only, so something is asked.
async function prove(way: Way, login: BmcLogin): Promise<void> {
  await way.tell(
    'login',
    async (session, signal) => {
      await session.isOn?.(signal);
    },
    { alone: true, login },
  );
}

async function holds(way: Way, login: BmcLogin): Promise<boolean> {
  try {
    await prove(way, login);
    return true;
  } catch (thrown) {
    if (hasCode(thrown, 'SIDERO_BMC_AUTH')) return false;
    throw thrown;
  }
}

async function settle(resources: ResourceClient, ref: SecretKeyRef, next: string): Promise<void> {
  await resources.change(SecretKind, ref, (draft) => {
    const { [nextKeyOf(ref)]: _taken, ...others } = draft.data ?? {};
    draft.data = { ...others, [ref.key]: Buffer.from(next).toString('base64') };
  });
}

async function takeBack(resources: ResourceClient, ref: SecretKeyRef): Promise<void> {
  await resources.change(SecretKind, ref, (draft) => {
    delete draft.data?.[nextKeyOf(ref)];
  });
}

function nextKeyOf({ key }: SecretKeyRef): string {
  return `${key}.next`;
}

/** 16 characters, of every sort that password rules ask for. */
export function newPassword(): string {
  const pick = (from: string): string => from.charAt(randomInt(from.length));
  const characters = SORTS.map(pick);
  while (characters.length < PASS_LENGTH) characters.push(pick(SORTS.slice(0, 3).join('')));
  for (let last = characters.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    [characters[last], characters[other]] = [characters[other]!, characters[last]!];
  }
  return characters.join('');
}
