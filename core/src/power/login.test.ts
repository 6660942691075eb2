import { describe, expect, test } from 'vitest';
import type { ResourceClient } from '../resources/client.ts';
import type { Bmc, Ref, Secret } from '../resources/kinds.ts';
import { namesLogin, readLogin } from './login.ts';
import { aManagedServer, aSecret } from './power.fixture.ts';

const from = (key: string) => ({ secretKeyRef: { namespace: 'default', name: 'bmc', key } });
const referring = { endpoint: '10.0.0.7', userFrom: from('user'), passFrom: from('pass') };

function read(bmc: Bmc, secret?: Secret | Error) {
  const asked: { ref: Ref; options: unknown }[] = [];
  const get = (_kind: unknown, ref: Ref, options: unknown) => {
    asked.push({ ref, options });
    return secret instanceof Error ? Promise.reject(secret) : Promise.resolve(secret);
  };
  return { asked, login: readLogin({ get } as unknown as ResourceClient, aManagedServer('server-1', bmc)) };
}

describe('the login of a BMC', () => {
  test('stands in the Server, and then no Secret is asked for', async () => {
    const { asked, login } = read({ ...referring, user: 'admin', pass: 'literal' });
    expect(await login).toEqual({ user: 'admin', pass: 'literal' });
    expect(asked).toEqual([]);
  });

  test('comes from a Secret, read from the API itself, once for both parts', async () => {
    const { asked, login } = read(referring, aSecret('bmc', { user: 'admin', pass: 'secret' }));
    expect(await login).toEqual({ user: 'admin', pass: 'secret' });
    expect(asked).toEqual([{ ref: { namespace: 'default', name: 'bmc', key: 'user' }, options: { live: true } }]);
  });

  test.each([
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    ['secret\n\n', 'secret\n'],
    [' secret ', ' secret '],
  ])('loses one newline at its end: %j', async (value, pass) => {
    expect((await read({ ...referring, user: 'admin' }, aSecret('bmc', { pass: value })).login)?.pass).toBe(pass);
  });

  test.each([{}, { user: 'admin' }, { pass: 'secret' }, { userFrom: from('user') }, { user: 'admin', pass: '' }])(
    'is none when only half is there: %j',
    async (half) => {
      const bmc = { endpoint: '10.0.0.7', ...half };
      expect(namesLogin(aManagedServer('server-1', bmc))).toBe(false);
      expect(await read(bmc, aSecret('bmc', {})).login).toBeUndefined();
    },
  );
});

describe('a login that is not where it should be', () => {
  test.each([
    { what: 'no Secret', bmc: referring, secret: undefined, problem: 'error getting secret "bmc": there is none in namespace default' },
    { what: 'an API that refuses', bmc: referring, secret: new Error('forbidden'), problem: 'error getting secret "bmc": forbidden' },
    { what: 'no such key', bmc: referring, secret: aSecret('bmc', { user: 'admin' }), problem: 'secret key "pass" is missing in secret "bmc"' },
    {
      what: 'a key that every object has',
      bmc: { ...referring, passFrom: from('toString') },
      secret: aSecret('bmc', { user: 'admin' }),
      problem: 'secret key "toString" is missing in secret "bmc"',
    },
    {
      what: 'an empty value',
      bmc: referring,
      secret: aSecret('bmc', { user: 'admin', pass: '\n' }),
      problem: 'secret key "pass" is empty in secret "bmc"',
    },
    {
      what: 'a reference to nothing',
      bmc: { ...referring, passFrom: {} },
      secret: aSecret('bmc', { user: 'admin' }),
      problem: 'missing secretKeyRef',
    },
  ])('says so: $what', async ({ bmc, secret, problem }) => {
    await expect(read(bmc, secret).login).rejects.toMatchObject({
      code: 'SIDERO_BMC_LOGIN_MISSING',
      message: `Server server-1: there is no login for its BMC: ${problem}.`,
    });
  });
});
