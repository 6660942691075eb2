import { BmcRefusal, enableUser, getUserAccess, getUserName, type LocalBmc } from './bmc-commands.ts';
import { setAdministrator, setPassword, setUserName, testPassword, unlessRefused } from './bmc-commands.ts';

/** The login that a BMC shall have. */
export interface WantedUser {
  /** At most 16 ASCII characters. */
  readonly user: string;
  /** 16 ASCII characters at most, so that it fits both forms of IPMI. */
  readonly pass: string;
  /** The channel it logs in over. */
  readonly channel: number;
}

/** User 1 is the one without a name; it is never touched. */
const FIRST_SLOT = 2;
const NAME_LIMIT = 16;
/** What some vendors give as the name of a slot that nobody uses. */
const EMPTY_NAME = '(Empty User)';

/**
 * Makes an administrator of that name and password, or of the one that has the name; proven by the BMC's own password test where it has
 * one. Repeatable.
 *
 * @throws BmcRefusal
 */
export async function setUpUser(bmc: LocalBmc, wanted: WantedUser): Promise<void> {
  const { user, channel } = wanted;
  if (!/^[\x21-\x7e]+$/.test(user) || user.length > NAME_LIMIT)
    throw new BmcRefusal(`a BMC cannot have the user ${JSON.stringify(user)}: a name is ${NAME_LIMIT} ASCII characters at most`);
  const id = await slotFor(bmc, wanted);
  const bytes = await givePassword(bmc, { id, pass: wanted.pass });
  await bmc.ask('Set User Access', setAdministrator(channel, id));
  await bmc.ask('Enable User', enableUser(id));
  await checkAccess(bmc, { id, channel, user });
  await checkPassword(bmc, { id, pass: wanted.pass, bytes });
}

interface Slots {
  /** The slot that has the name already. */
  readonly own: number | undefined;
  /** Slots to try, the surest first. */
  readonly free: readonly number[];
}

/** The slot of the user: the one that has its name, else one that nobody uses and that takes the name. */
async function slotFor(bmc: LocalBmc, { user, channel }: WantedUser): Promise<number> {
  const { own, free } = await lookAtSlots(bmc, { user, channel });
  if (own !== undefined) return own;
  let why = '';
  for (const id of free) {
    try {
      await bmc.ask('Set User Name', setUserName(id, user));
    } catch (thrown) {
      // Vendors keep slots for themselves without saying so.
      if (!(thrown instanceof BmcRefusal) || thrown.code === undefined) throw thrown;
      why = `; ${thrown.message}`;
      continue;
    }
    if ((await nameOf(bmc, id)) === user) return id;
    why = `; slot ${id} did not keep the name`;
  }
  throw new BmcRefusal(`the BMC has no free slot for the user ${user}${why}`);
}

async function lookAtSlots(bmc: LocalBmc, { user, channel }: Pick<WantedUser, 'user' | 'channel'>): Promise<Slots> {
  const [max = 0, , fixed = 0] = await bmc.ask('Get User Access', getUserAccess(channel, 1));
  const free: number[] = [];
  const unreadable: number[] = [];
  for (let id = FIRST_SLOT; id <= (max & 0x3f); id++) {
    const name = await nameOf(bmc, id);
    if (name === user) return { own: id, free };
    // The first so many slots have names that cannot be changed.
    if (id <= (fixed & 0x3f)) continue;
    if (name === '' || name === EMPTY_NAME) free.push(id);
    if (name === undefined) unreadable.push(id);
  }
  return { own: undefined, free: [...free, ...unreadable] };
}

/** Undefined when the BMC names no name, as some do for slots that nobody uses. */
async function nameOf(bmc: LocalBmc, id: number): Promise<string | undefined> {
  const bytes = await unlessRefused(bmc.ask('Get User Name', getUserName(id)));
  return bytes && Buffer.from(bytes.slice(0, NAME_LIMIT)).toString('latin1').split('\0')[0]!.trim();
}

/** Gives the password, in the 16-byte form, or the 20-byte form to a BMC that wants that; which it was. */
async function givePassword(bmc: LocalBmc, given: { readonly id: number; readonly pass: string }): Promise<16 | 20> {
  try {
    await bmc.ask('Set User Password', setPassword({ ...given, bytes: 16 }));
    return 16;
  } catch (thrown) {
    if (!(thrown instanceof BmcRefusal) || !WRONG_FORM.has(thrown.code ?? 0)) throw thrown;
  }
  await bmc.ask('Set User Password', setPassword({ ...given, bytes: 20 }));
  return 20;
}

const WRONG_FORM: ReadonlySet<number> = new Set([0xc7, 0xc8, 0xc9, 0xcc]);
const MESSAGING = 0x10;
const ADMINISTRATOR = 0x04;

// Some BMCs take the command and keep what they had.
async function checkAccess(bmc: LocalBmc, { id, channel, user }: { id: number; channel: number; user: string }): Promise<void> {
  const access = (await unlessRefused(bmc.ask('Get User Access', getUserAccess(channel, id))))?.[3];
  if (access === undefined) return;
  if ((access & MESSAGING) === 0 || (access & 0x0f) !== ADMINISTRATOR)
    throw new BmcRefusal(`the BMC did not make the user ${user} an administrator on channel ${channel}`);
}

const OTHER_PASSWORD = 0x80;
const OTHER_FORM = 0x81;

async function checkPassword(bmc: LocalBmc, given: { id: number; pass: string; bytes: 16 | 20 }): Promise<void> {
  try {
    await bmc.ask('Test Password', testPassword(given));
  } catch (thrown) {
    if (!(thrown instanceof BmcRefusal) || thrown.code === undefined) throw thrown;
    if (thrown.code === OTHER_FORM && given.bytes === 16) return checkPassword(bmc, { ...given, bytes: 20 });
    if (thrown.code === OTHER_PASSWORD || thrown.code === OTHER_FORM) throw new BmcRefusal('the BMC did not keep the password it was given');
    bmc.note(`the new login on the BMC is not tested: ${thrown.message}`);
  }
}
