/** Kernel arguments as data: each is one text of the command line. None of these functions changes what it is given. */

// Talos' own defaults: `from` and `below` are the versions, as major and minor, that have the argument.
const TALOS_ARGS: readonly { readonly arg: string; readonly from?: readonly [number, number]; readonly below?: readonly [number, number] }[] = [
  { arg: 'init_on_alloc=1' },
  { arg: 'slab_nomerge=' },
  { arg: 'pti=on' },
  { arg: 'consoleblank=0' },
  { arg: 'nvme_core.io_timeout=4294967295' },
  { arg: 'printk.devkmsg=on' },
  { arg: 'ima_template=ima-ng', below: [1, 11] },
  { arg: 'ima_appraise=fix', below: [1, 11] },
  { arg: 'ima_hash=sha512', below: [1, 11] },
  { arg: 'selinux=1', from: [1, 10] },
  { arg: 'module.sig_enforce=1', from: [1, 12] },
  { arg: 'proc_mem.force_override=never', from: [1, 13] },
];

/** Arguments that Talos of that version (`v1.13.0`) boots with by default; those of the newest for anything that is no version. */
export function talosKernelArgs(version: string): string[] {
  const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(version) ?? [];
  const number = major === undefined ? Number.POSITIVE_INFINITY : Number(major) * 1000 + Number(minor);
  const at = ([x, y]: readonly [number, number]): number => x * 1000 + y;
  return TALOS_ARGS.filter(({ from, below }) => (!from || number >= at(from)) && (!below || number < at(below))).map(({ arg }) => arg);
}

/**
 * Lays arguments over others: each key of `extra` (separated by white space) replaces all values of that key at the place of the
 * first one; new keys follow at the end. An argument without a value has no `=` afterwards.
 */
export function overrideArgs(args: readonly string[], extra: string): string[] {
  const byKey = (list: readonly string[]) => Map.groupBy(list.map(withoutEmptyValue), keyOf);
  const groups = byKey(args);
  for (const [key, values] of byKey(extra.split(/\s+/).filter((arg) => arg !== ''))) groups.set(key, values);
  return [...groups.values()].flat();
}

/** `args` and, when none of them starts with `prefix` (`talos.config=`), the argument `prefix` + `value` at the end. */
export function appendMissing(args: readonly string[], prefix: string, value: string): readonly string[] {
  return args.some((arg) => arg.startsWith(prefix)) ? args : [...args, prefix + value];
}

/** What is wrong with an argument, as the end of a sentence: a line break in one would be a statement of its own to iPXE. */
export function argProblem(args: readonly string[]): string | undefined {
  const index = args.findIndex((arg) => /[\p{Cc}\u2028\u2029]/u.test(arg));
  return index < 0 ? undefined : `kernel argument ${index + 1} (${JSON.stringify(args[index]!.slice(0, 60))}) holds a control character`;
}

function keyOf(arg: string): string {
  return arg.split('=', 1)[0]!;
}

function withoutEmptyValue(arg: string): string {
  return arg.indexOf('=') === arg.length - 1 ? keyOf(arg) : arg;
}
