import { expect, test } from 'vitest';
import { createAnnotate } from './annotated-line.ts';

const TOKEN = 'gBde8zvGP3HkqMdHacLeKAZA15-E9RiJOijb9HrOrxQ';

test('the kernel logs its command line; the proofs on it go no further', () => {
  const msg = `Command line: talos.config=http://10.0.0.1:8081/configdata?uuid=&token=${TOKEN} siderolink.api=10.0.0.1:8081?jointoken=${TOKEN}\n`;
  const line = createAnnotate()(JSON.stringify({ msg }), {});
  expect(line).not.toContain(TOKEN);
  expect((JSON.parse(line!) as { msg: string }).msg).toBe(msg.replaceAll(TOKEN, '***'));
});

test('what is no token of ours stays as it is', () => {
  const msg = `token=abc and othertoken=${TOKEN}x`;
  expect(createAnnotate()(JSON.stringify({ msg }), {})).toBe(JSON.stringify({ msg }));
});
