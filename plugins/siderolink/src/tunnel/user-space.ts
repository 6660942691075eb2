import { type ChildProcess, spawn } from 'node:child_process';
import { access, constants, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@sidero/core';
import { failure } from '../errors.ts';
import { answers } from '../outlets/answers.ts';
import { searchPath } from './run-program.ts';
import { bringUp, deleteInterface, kindOfInterface, refuseForeign } from './interface.ts';
import type { OpenTunnel, PeerChange, Tunnel, TunnelPlan } from './tunnel.ts';
import { callUapi, deviceLines, peersIn, setPeers } from './uapi.ts';

const PROGRAM = 'wireguard-go';
const SOCKETS = '/var/run/wireguard';
/** Until its socket answers; ready within 0.03 s on an idle machine. */
const START_MS = 15_000;
const STOP_MS = 800;

/** WireGuard in user space: `wireguard-go` on a TUN device, one child process. */
export function userSpaceTunnel({ log }: { readonly log: Logger }): OpenTunnel {
  return async (plan, signal) => {
    await checkDevice(plan.interface);
    await removeLeftover(plan.interface);
    const socket = `${SOCKETS}/${plan.interface}.sock`;
    const program = await startProgram(plan, { log, socket, signal });
    try {
      await callUapi(socket, `set=1\n${deviceLines(plan)}`);
      await bringUp(plan);
    } catch (thrown) {
      await program.stop();
      throw thrown;
    }
    return tunnelOf(program, socket);
  };
}

function tunnelOf(program: Program, socket: string): Tunnel {
  return {
    kind: 'user-space',
    peers: async () => peersIn(await callUapi(socket, 'get=1\n')),
    apply: (changes: readonly PeerChange[]) => setPeers(socket, changes),
    lost: program.ended,
    [Symbol.asyncDispose]: () => program.stop(),
  };
}

async function checkDevice(name: string): Promise<void> {
  const device = '/dev/net/tun';
  await access(device, constants.R_OK | constants.W_OK).catch((thrown: NodeJS.ErrnoException) => {
    const why = thrown.code === 'ENOENT' ? `there is no ${device}` : `${device} may not be opened`;
    throw unavailable(name, why, `load the module tun, or give the container ${device} and the capability NET_ADMIN`);
  });
}

// Whoever was killed before us leaves the program running: without its device it ends.
async function removeLeftover(name: string): Promise<void> {
  const kind = await kindOfInterface(name);
  refuseForeign(name, kind);
  if (kind) await deleteInterface(name);
  const socket = `${SOCKETS}/${name}.sock`;
  for (let look = 0; look < 40 && (await answers(socket)); look++) await delay(50);
  await rm(socket, { force: true });
}

interface Program {
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

async function startProgram(plan: TunnelPlan, given: { log: Logger; socket: string; signal: AbortSignal }): Promise<Program> {
  const { log, socket, signal } = given;
  const child = spawn(PROGRAM, ['-f', plan.interface], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: searchPath(), LOG_LEVEL: 'error', WG_PROCESS_FOREGROUND: '1' },
  });
  const program = watched(child, log);
  let end: string | undefined;
  void program.ended.then((how) => (end = how));
  const deadline = Date.now() + START_MS;
  while (!(await answers(socket))) {
    if (end === undefined && Date.now() < deadline && !signal.aborted) {
      await delay(10);
      continue;
    }
    await program.stop();
    signal.throwIfAborted();
    const why = end ?? `${PROGRAM} did not answer within ${START_MS / 1000} s`;
    throw unavailable(plan.interface, why, `install ${PROGRAM} (Debian package of that name), and run with the capability NET_ADMIN`);
  }
  return program;
}

function watched(child: ChildProcess, log: Logger): Program {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-1000);
    for (const line of text.split('\n').filter((line) => /\w/.test(line))) log.debug({ program: PROGRAM }, line.trim());
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ENOENT' ? `${PROGRAM} is not installed` : error.message));
    child.once('exit', (code, signal) => resolve(`${PROGRAM} ended with ${code ?? signal}${lastLine(said)}`));
  });
  const stop = async (): Promise<void> => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(patience);
  };
  return { ended, stop };
}

function lastLine(said: string): string {
  const last = said
    .split('\n')
    .filter((line) => /\w/.test(line))
    .at(-1);
  return last ? `: ${last.trim()}` : '';
}

function unavailable(name: string, why: string, next: string): Error {
  return failure('SIDERO_SIDEROLINK_TUNNEL_UNAVAILABLE', { interface: name, why, next });
}
