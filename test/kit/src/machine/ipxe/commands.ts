import { FAILED, type Run, type RunningIpxe, STOP } from './command.ts';
import { integerOf, integerSetting, parseInteger, parseSetting, parseSettingName } from './settings.ts';

/** Options of a command line: those in `valued` take the next word. Parsing ends at the first word that is no option, or at `--`. */
function parseOptions(args: readonly string[], valued: readonly string[] = []) {
  const options = new Map<string, string>();
  let at = 0;
  while (at < args.length && args[at]!.startsWith('-') && args[at] !== '-') {
    const word = args[at++]!;
    if (word === '--') break;
    const [name, inline] = word.replace(/^--?/, '').split('=', 2) as [string, string?];
    options.set(name, inline ?? (valued.includes(name) ? (args[at++] ?? '') : ''));
  }
  return { options, rest: args.slice(at) };
}

const succeed: Run = () => 0;

const echo: Run = ({ host }, args) => {
  host.print(parseOptions(args).rest.join(' '));
  return 0;
};

const exit: Run = (ipxe, args) => {
  ipxe.stop = STOP.script;
  return parseInteger(args[0] ?? '0') ?? FAILED;
};

const isset: Run = (_ipxe, args) => (args.length === 1 && args[0] !== '' ? 0 : FAILED);

const iseq: Run = (_ipxe, args) => (args.length === 2 && args[0] === args[1] ? 0 : FAILED);

const goto: Run = (ipxe, args) => (args.length === 1 && ipxe.goto(args[0]!) ? 0 : FAILED);

const sleep: Run = async ({ host }, args) => {
  const seconds = parseInteger(args[0] ?? '');
  if (seconds === undefined || seconds < 0) return FAILED;
  await host.sleep(seconds);
  return 0;
};

// Nobody is at the keyboard: the prompt times out, which counts as failure.
const prompt: Run = ({ host }, args) => {
  host.print(parseOptions(args, ['key', 'k', 'timeout', 't', 'set', 's']).rest.join(' '));
  return FAILED;
};

const set: Run = (ipxe, args) => {
  const parsed = parseSettingName(args[0] ?? '');
  const setting = parsed && parseSetting(args.slice(1).join(' '), parsed.type ?? 'string');
  if (!parsed?.name || !setting) return FAILED;
  ipxe.settings.set(parsed.name, setting);
  return 0;
};

const clear: Run = (ipxe, args) => {
  const parsed = parseSettingName(args[0] ?? '');
  if (!parsed?.name) return FAILED;
  ipxe.settings.set(parsed.name, undefined);
  return 0;
};

const inc: Run = (ipxe, args) => {
  const parsed = parseSettingName(args[0] ?? '');
  const step = parseInteger(args[1] ?? '1');
  if (!parsed?.name || step === undefined) return FAILED;
  const known = ipxe.settings.get(parsed.name);
  const type = parsed.type ?? known?.type ?? 'int32';
  ipxe.settings.set(parsed.name, integerSetting(((known && integerOf(known)) ?? 0) + step, type === 'string' ? 'int32' : type));
  return 0;
};

const dhcp: Run = async ({ host }, args) => {
  const nics = parseOptions(args, ['timeout', 't', 'configurator', 'c']).rest;
  for (const nic of nics.length > 0 ? nics : ['net0']) if (await host.configure(nic)) return 0;
  return FAILED;
};

const FETCH_OPTIONS = ['name', 'n', 'timeout', 't'];

/** Fetches what the first word names; prints and gives undefined when that fails. */
async function fetchImage(ipxe: RunningIpxe, reference: string | undefined, use: 'script' | 'kernel' | 'initrd') {
  const url = reference ? ipxe.resolve(reference) : undefined;
  const bytes = url && (await ipxe.host.fetch(url, use));
  if (!url || !bytes) {
    ipxe.host.print(`Could not fetch ${reference ?? '(nothing)'}`);
    return undefined;
  }
  return { url, bytes };
}

const kernel: Run = async (ipxe, args) => {
  const [reference, ...kernelArgs] = parseOptions(args, FETCH_OPTIONS).rest;
  const image = await fetchImage(ipxe, reference, 'kernel');
  if (!image) return FAILED;
  ipxe.kernel = { url: image.url, args: kernelArgs };
  return 0;
};

const initrd: Run = async (ipxe, args) => {
  const image = await fetchImage(ipxe, parseOptions(args, FETCH_OPTIONS).rest[0], 'initrd');
  if (!image) return FAILED;
  ipxe.initrds.push(image.url);
  return 0;
};

const boot: Run = async (ipxe, args) => {
  const { rest } = parseOptions(args, FETCH_OPTIONS);
  if (rest.length > 0) {
    const status = await kernel(ipxe, rest);
    if (status !== 0) return status;
  }
  if (!ipxe.kernel) {
    ipxe.host.print('No unique image selected');
    return FAILED;
  }
  return ipxe.finish({ action: 'boot', kernel: ipxe.kernel.url, args: ipxe.kernel.args, initrds: [...ipxe.initrds] });
};

const imgfree: Run = (ipxe) => {
  ipxe.kernel = undefined;
  ipxe.initrds.length = 0;
  return 0;
};

const imgargs: Run = (ipxe, args) => {
  if (!ipxe.kernel) return FAILED;
  ipxe.kernel = { url: ipxe.kernel.url, args: args.slice(1) };
  return 0;
};

const chain: Run = async (ipxe, args) => {
  const { options, rest } = parseOptions(args, FETCH_OPTIONS);
  const image = await fetchImage(ipxe, rest[0], 'script');
  if (!image) return FAILED;
  if (!options.has('replace') && !options.has('r')) return await ipxe.execute(image);
  ipxe.replacement = image;
  ipxe.stop = STOP.script;
  return 0;
};

const sanboot: Run = (ipxe, args) => {
  const { options } = parseOptions(args, ['drive', 'd', 'filename', 'f', 'extra', 'e', 'label', 'l', 'uuid', 'u']);
  return ipxe.finish({ action: 'disk', drive: parseInteger(options.get('drive') ?? options.get('d') ?? '0x80') ?? 0x80 });
};

/** The commands that our scripts, and those of other people that we know of, use. Links are always up here. */
export const COMMANDS: Readonly<Record<string, Run>> = {
  boot,
  chain,
  clear,
  dhcp,
  echo,
  exit,
  goto,
  ifclose: succeed,
  ifconf: dhcp,
  iflinkwait: succeed,
  ifopen: succeed,
  ifstat: succeed,
  imgargs,
  imgexec: boot,
  imgfetch: initrd,
  imgfree,
  imgstat: succeed,
  inc,
  initrd,
  iseq,
  isset,
  kernel,
  module: initrd,
  poweroff: (ipxe) => ipxe.finish({ action: 'poweroff' }),
  prompt,
  reboot: (ipxe) => ipxe.finish({ action: 'reboot' }),
  route: succeed,
  sanboot,
  set,
  shell: succeed,
  sleep,
};
