import { describe, expect, test } from 'vitest';
import { withoutSecrets } from './secrets.ts';

describe('a text that leaves us', () => {
  test.each([
    'login with password=hunter2 failed',
    'password: "hunter2"',
    '{"pass":"hunter2"}',
    'https://root:hunter2@10.0.0.7/redfish/v1 gave 401',
    'Authorization: Bearer hunter2hunter2',
    'talos.config=http://10.0.0.1:8081/configdata?uuid=u&token=hunter2',
    'join_token=hunter2',
    "privateKey='hunter2'",
    '-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----',
    'jwt eyJhbGciOiJI.eyJodW50ZXIy.hunter2',
  ])('does not show the secret of "%s"', (text) => {
    expect(withoutSecrets(text)).not.toContain('hunter2');
    expect(withoutSecrets(text)).toContain('[hidden]');
  });

  test.each(['Server 4c4c accepted: serial X is in list', 'passed 3 of 4 checks', 'https://10.0.0.7/redfish/v1 gave 503', 'power on through ipmi'])(
    'stays as it is without one: "%s"',
    (text) => expect(withoutSecrets(text)).toBe(text),
  );
});
