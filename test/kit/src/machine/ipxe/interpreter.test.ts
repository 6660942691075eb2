import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { IpxeHost } from './command.ts';
import { runIpxe } from './interpreter.ts';
import { macSetting, textSetting, uuidSetting } from './settings.ts';

const SCRIPT = new URL('http://10.0.0.1:8081/boot.ipxe');

/** A host whose network holds `files`, by path and query; notes what iPXE did. */
function aHost(files: Readonly<Record<string, string>>, extra: Partial<IpxeHost> = {}) {
  const fetched: string[] = [];
  const printed: string[] = [];
  const slept: number[] = [];
  const host: IpxeHost = {
    settings: {
      uuid: uuidSetting('4c4c4544-0038-4810-8052-b4c04f4c4232'),
      'net0/mac': macSetting('52:54:00:12:34:56'),
      hostname: textSetting('rack 1/node&2'),
    },
    async fetch(url) {
      fetched.push(url.pathname + url.search);
      const file = files[url.pathname + url.search] ?? files[url.pathname];
      return file === undefined ? undefined : Buffer.from(file);
    },
    configure: async () => true,
    sleep: async (seconds) => void slept.push(seconds),
    print: (text) => void printed.push(text),
    signal: new AbortController().signal,
    ...extra,
  };
  return { host, fetched, printed, slept };
}

const run = async (script: string, files: Readonly<Record<string, string>> = {}) => {
  const world = aHost({ '/boot.ipxe': script, ...files });
  const outcome = await runIpxe(world.host, SCRIPT);
  return { ...world, outcome };
};

test('a boot script loads kernel and initrd relative to itself and boots them', async () => {
  const { outcome, fetched } = await run('#!ipxe\nkernel /env/a/vmlinuz  console=tty0 x=${uuid}\ninitrd /env/a/initramfs.xz\nboot\n', {
    '/env/a/vmlinuz': 'k',
    '/env/a/initramfs.xz': 'i',
  });
  expect(fetched).toEqual(['/boot.ipxe', '/env/a/vmlinuz', '/env/a/initramfs.xz']);
  expect(outcome).toMatchObject({ action: 'boot', args: ['console=tty0', 'x=4c4c4544-0038-4810-8052-b4c04f4c4232'] });
});

test('a script may try each interface in turn and chain the script for the one that works', async () => {
  const script = `#!ipxe
prompt --key 0x02 --timeout 2000 Press Ctrl-B... && shell ||
set idx:int32 0
:loop
isset \${net\${idx}/mac} || goto exhausted
dhcp net\${idx} || goto next_iface
goto boot
:next_iface
inc idx && goto loop
:boot
chain --replace http://10.0.0.1:8081/ipxe?uuid=\${uuid}&mac=\${net\${idx}/mac:hexhyp}&hostname=\${hostname:uristring} || goto next_iface
:exhausted
reboot
`;
  const world = aHost(
    { '/boot.ipxe': script, '/ipxe': '#!ipxe\nexit\n' },
    {
      settings: {
        uuid: uuidSetting('4c4c4544-0038-4810-8052-b4c04f4c4232'),
        'net0/mac': macSetting('52:54:00:00:00:01'),
        'net1/mac': macSetting('52:54:00:00:00:02'),
        hostname: textSetting('a b&c'),
      },
      configure: async (nic) => nic === 'net1',
    },
  );
  expect(await runIpxe(world.host, SCRIPT)).toEqual({ action: 'exit', status: 0 });
  expect(world.fetched).toEqual(['/boot.ipxe', '/ipxe?uuid=4c4c4544-0038-4810-8052-b4c04f4c4232&mac=52-54-00-00-00-02&hostname=a%20b%26c']);
});

test('a loop that counts goes round as often as it says', async () => {
  const { printed, outcome } = await run(
    '#!ipxe\nset x:int32 0\n:again\necho round ${x}\niseq ${x} 10 && goto done ||\ninc x\ngoto again\n:done\nreboot\n',
  );
  expect(printed).toHaveLength(11);
  expect(outcome).toEqual({ action: 'reboot' });
});

test('a failing command ends the script unless || follows', async () => {
  expect((await run('#!ipxe\nisset ${nothing}\nreboot\n')).outcome).toEqual({ action: 'exit', status: 1 });
  expect((await run('#!ipxe\nisset ${nothing} ||\nreboot\n')).outcome).toEqual({ action: 'reboot' });
});

test('after exit in a chained script the calling script goes on', async () => {
  const { outcome } = await run('#!ipxe\nchain /other\npoweroff\n', { '/other': '#!ipxe\nexit 0\nreboot\n' });
  expect(outcome).toEqual({ action: 'poweroff' });
});

test('after exit in a script chained with --replace the firmware goes on', async () => {
  const { outcome } = await run('#!ipxe\nchain --replace /other ||\npoweroff\n', { '/other': '#!ipxe\nexit\n' });
  expect(outcome).toEqual({ action: 'exit', status: 0 });
});

test('a chain to a file that is not there fails', async () => {
  const { outcome, printed } = await run('#!ipxe\nchain --replace /nope || sleep 5\npoweroff\n');
  expect(outcome).toEqual({ action: 'poweroff' });
  expect(printed).toEqual(['Could not fetch /nope']);
});

test('a waiting script that chains itself again asks until the answer changes', async () => {
  let asked = 0;
  const world = aHost({ '/boot.ipxe': '#!ipxe\nchain --replace /ipxe\n' });
  const fetch: IpxeHost['fetch'] = async (url) => {
    if (url.pathname !== '/ipxe') return await world.host.fetch(url, 'script');
    return Buffer.from(++asked < 3 ? '#!ipxe\necho not yet\nsleep 5\nchain --replace /ipxe\n' : '#!ipxe\nsanboot --no-describe --drive 0x80\n');
  };
  expect(await runIpxe({ ...world.host, fetch }, SCRIPT)).toEqual({ action: 'disk', drive: 0x80 });
  expect(world.slept).toEqual([5, 5]);
});

test('words are split before they are expanded, so a value with a blank stays one word', async () => {
  const { printed } = await run('#!ipxe\niseq ${hostname} ${hostname} && echo same\n');
  expect(printed).toEqual(['same']);
});

test('a word that begins with # starts a comment, a # inside a word does not', async () => {
  const { printed } = await run('#!ipxe\necho a#b c # d\n');
  expect(printed).toEqual(['a#b c']);
});

test('a label may be followed by a command, and a backslash joins lines', async () => {
  const { printed } = await run('#!ipxe\ngoto there\necho skipped\n:there echo one \\\n two\n');
  expect(printed).toEqual(['one two']);
});

test('an HTML page is not run as a script', async () => {
  const { outcome, printed } = await run('<html>boot</html>');
  expect(outcome).toEqual({ action: 'exit', status: 1 });
  expect(printed).toEqual(['/boot.ipxe: not a script']);
});

test('a script that loops for ever without waiting is stopped by the signal', async () => {
  const abort = new AbortController();
  const { host } = aHost({ '/boot.ipxe': '#!ipxe\n:a\ngoto a\n' }, { signal: abort.signal });
  const running = runIpxe(host, SCRIPT);
  setImmediate(() => abort.abort(new Error('machine switched off')));
  await expect(running).rejects.toThrow('machine switched off');
});

test('no script, however broken, throws', async () => {
  const words = fc.constantFrom(
    'set',
    'inc',
    'x:int32',
    '${x}',
    '${',
    '}',
    '${x:hex}',
    '${net${x}/mac:uristring}',
    'goto',
    'a',
    ':a',
    '||',
    '&&',
    ';',
    'isset',
    'kernel',
    'boot',
    'chain',
    '/other',
    '0x',
    '-1',
    '#',
    '--',
    'exit',
    'imgargs',
    '\\',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.oneof(words, fc.string()), { maxLength: 8 }), { maxLength: 12 }), async (lines) => {
      const abort = new AbortController();
      let fetches = 0;
      const { host } = aHost({}, { signal: abort.signal });
      const script = `#!ipxe\n${lines.map((line) => line.join(' ')).join('\n')}`;
      // A script that runs in circles is legal: it is cut off after 50 fetches or 50,000 turns.
      const fetch: IpxeHost['fetch'] = async () => (++fetches > 50 ? undefined : Buffer.from(fetches === 1 ? script : '#!ipxe\nset x 1\n'));
      const timer = setTimeout(() => abort.abort('circle'), 50);
      try {
        expect(await runIpxe({ ...host, fetch }, SCRIPT)).toHaveProperty('action');
      } catch (thrown) {
        expect(thrown).toBe('circle');
      } finally {
        clearTimeout(timer);
      }
    }),
    { numRuns: 200, examples: [[[['valueOf']]]] },
  );
});
