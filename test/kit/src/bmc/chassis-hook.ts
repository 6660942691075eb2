import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { NetworkBootMode } from '@sidero/core';
import type { BootDevice, ChassisControl, PowerAction } from './chassis.ts';

/** How long a program that asks may be kept waiting: ipmi_sim stands still meanwhile, and its clients send their command again. */
const PATIENCE_MS = 300;

/** Answers one question or order, given as words; undefined when it is not understood. */
export type HookAnswers = (words: readonly string[]) => Promise<string | undefined> | string | undefined;

/**
 * Lets other programs ask us, over HTTP on a Unix socket: one line of words in, text out; 400 is what nobody understood. Unix sockets reach
 * into network namespaces, and curl speaks HTTP over them.
 */
export async function startHook(path: string, answers: HookAnswers): Promise<AsyncDisposable> {
  const answer = async (request: IncomingMessage) => await answers((await text(request)).trim().split(/\s+/));
  const server = createServer((request, response) => {
    answer(request).then(
      (found) => response.writeHead(found === undefined ? 400 : 200).end(found ?? ''),
      (thrown: unknown) => response.writeHead(500).end(String(thrown)),
    );
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Does the action, and returns when it is done or when the asker's patience ends: the rest then happens by itself. */
export async function powerSoon(control: ChassisControl, action: PowerAction): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(resolve, PATIENCE_MS, 'late');
  const done = control.power(action);
  if ((await Promise.race([done, late]).finally(() => clearTimeout(timer))) !== 'late') return;
  // Nobody waits for it any more: a failure must end the run, not pass unseen.
  void done.catch((thrown: unknown) => {
    throw thrown;
  });
}

const ACTIONS: Readonly<Record<string, PowerAction>> = { 'power 1': 'on', 'power 0': 'off', 'reset 1': 'cycle', 'shutdown 1': 'soft' };

/** The words of OpenIPMI's `chassis_control` for boot devices; "default" is its word for the disk. */
const DEVICES: Readonly<Record<string, BootDevice>> = { none: 'normal', pxe: 'network', default: 'disk', cdrom: 'cd', bios: 'setup' };

/**
 * Answers as OpenIPMI's `chassis_control` program does: `get power boot`, `set power 1`, `set boot pxe`, `set reset 1`, `set shutdown 1`; and
 * `set boot pxe uefi` for BMCs that know more.
 */
export function openIpmiChassis(control: ChassisControl): HookAnswers {
  return async ([verb, ...words]) => {
    if (verb === 'get') return lines(words.map((word) => read(control, word)));
    if (verb !== 'set') return undefined;
    const [what = '', value = '', mode] = words;
    const action = ACTIONS[`${what} ${value}`];
    if (action) await powerSoon(control, action);
    else if (what === 'boot' && DEVICES[value]) control.override = { device: DEVICES[value], ...(isMode(mode) && { mode }), isPersistent: false };
    else if (what !== 'identify') return undefined;
    return '';
  };
}

function isMode(word: string | undefined): word is NetworkBootMode {
  return word === 'uefi' || word === 'bios';
}

function read(control: ChassisControl, what: string): string | undefined {
  if (what === 'power') return `power:${control.isOn() ? 1 : 0}`;
  if (what === 'boot') return `boot:${Object.keys(DEVICES).find((word) => DEVICES[word] === control.override.device)}`;
  return undefined;
}

function lines(answers: readonly (string | undefined)[]): string | undefined {
  return answers.includes(undefined) ? undefined : answers.map((line) => `${line}\n`).join('');
}
