import type {
  AllocationExplained,
  BootPlan,
  BootRequest,
  Claim,
  DiskOutcome,
  HardwareReport,
  Hold,
  MachineIdentity,
  ServerEvent,
  Verdict,
  WipePlan,
} from '../hooks.ts';
import type { Server, ServerBinding } from '../resources/kinds.ts';
import { accept } from './accept.ts';
import { admit } from './admit.ts';
import { createAllocateStage } from './allocate.ts';
import { bind } from './bind.ts';
import { createBootStage } from './boot.ts';
import { createTokenMint, type TokenMint } from './boot-auth.ts';
import { readBootKey } from './boot-key.ts';
import type { StageContext } from './context.ts';
import { discover } from './discover.ts';
import { readInstallation } from './fence.ts';
import { whyHeld, wipe, wiped, wipeFailed, wipeHanded, wipeRefused, wiping } from './wipe.ts';

/** The right of one machine to act on its own Server, proven by the token its boot was given. */
export interface BootPass {
  readonly uuid: string;
  /** The boot it was handed to; empty when boot authentication let a call without a token through. */
  readonly bootId: string;
  /** False when `bootAuth` is `report` or `off` and no valid token was shown. */
  readonly proven: boolean;
}

/** What a machine is told after it has registered. */
export interface Registration {
  readonly server: Server;
  readonly created: boolean;
}

/** The stages of a server's life; the only code that calls hooks. Transports call them, taps never do. */
export interface Lifecycle {
  /**
   * Checks who calls: `token` as it came in gRPC metadata, for the Server `uuid`.
   * @throws SIDERO_BOOT_TOKEN_INVALID
   */
  admit(claim: { readonly uuid: string; readonly token: string | undefined; readonly address: string }): Promise<BootPass>;
  /** A fresh token for the same boot, before the old one ends. Undefined when the pass is not proven. */
  renew(pass: BootPass): Promise<string | undefined>;
  /**
   * Registers a machine: creates its Server, or refreshes the hardware of the one there is, then runs `accept`.
   * @throws SIDERO_SERVER_UUID_INVALID, SIDERO_SERVER_DUPLICATE, SIDERO_BOOT_TOKEN_INVALID
   */
  discover(report: HardwareReport, pass: BootPass): Promise<Registration>;
  accept(server: Server): Promise<Verdict>;
  /** What may be wiped on a Server now, or why nothing. Asked again before every step that cannot be taken back. */
  wipe(server: Server): Promise<WipePlan | Hold>;
  /** Why the taps of `wipe` hold a Server that looks free, also one with nothing to wipe; undefined: nobody does. Asked before its power is cut. */
  whyHeld(server: Server): Promise<string | undefined>;
  /**
   * The machine was handed a wipe; only its boot may report it done. `isByDisk` says that the machine carries the plan out disk by disk and
   * tells of each: then no evidence, no clean mark. A hold: it was forbidden since it was planned, and must not be handed out.
   */
  wipeHanded(pass: BootPass, order: { readonly plan: WipePlan; readonly isByDisk: boolean }): Promise<Hold | undefined>;
  /**
   * The machine is alive and wiping: moves the transition time of `PowerCycle`, and `status.wipe`. A hold tells it to stop: the Server was
   * allocated, is no longer accepted, or nothing has moved for the reboot timeout.
   * @throws SIDERO_RESOURCE_MISSING
   */
  wiping(pass: BootPass, disks?: readonly DiskOutcome[]): Promise<Hold | undefined>;
  /** @throws SIDERO_WIPE_INCOMPLETE, SIDERO_WIPE_NOT_HANDED */
  wiped(pass: BootPass, disks?: readonly DiskOutcome[]): Promise<void>;
  /** The machine cannot do what is planned; nothing more is ordered until a person asks for it. */
  wipeRefused(pass: BootPass, message: string): Promise<void>;
  /** The wipe failed on the machine, or it stopped as it was told. */
  wipeFailed(pass: BootPass, given: { readonly message: string; readonly disks: readonly DiskOutcome[] }): Promise<void>;
  /**
   * Gives a claim a server: makes its ServerBinding. Asked again with the same claim, it gives the same one.
   * @throws SIDERO_ALLOCATE_NONE, SIDERO_SERVER_CLASS_INVALID
   */
  allocate(claim: Claim): Promise<ServerBinding>;
  /** What `allocate` would do, for every Server there is; takes none. @throws SIDERO_ALLOCATE_NONE, SIDERO_SERVER_CLASS_INVALID */
  explainAllocation(claim: Claim): Promise<AllocationExplained>;
  bind(binding: ServerBinding): Promise<MachineIdentity>;
  /** What a machine boots. Hands an agent token out, and records to whom, unless the request only peeks. */
  boot(request: BootRequest): Promise<BootPlan>;
  stream(event: ServerEvent): void;
}

/** What the stages are built from; the rest they make themselves. */
export interface LifecycleOptions extends Omit<StageContext, 'mint' | 'installation' | 'stream'> {
  /** Told of every event before the taps of `stream`, which may be slow or drop some. */
  witness(event: ServerEvent): void;
}

/** The stages over one set of hooks. */
export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const stream = (event: ServerEvent): void => {
    options.witness(event);
    options.hooks.stream.call(event);
  };
  const context: StageContext = {
    ...options,
    stream,
    mint: once(async (): Promise<TokenMint> => createTokenMint(await readBootKey(options.resources))),
    installation: once(() => readInstallation(options.resources)),
  };
  const { allocate, explain } = createAllocateStage(context);
  return {
    admit: (claim) => admit(context, claim),
    renew: async (pass) => (pass.proven ? (await context.mint()).sign(pass.uuid, pass.bootId, context.now()) : undefined),
    discover: (report, pass) => discover(context, report, pass),
    accept: (server) => accept(context, server),
    wipe: (server) => wipe(context, server),
    whyHeld: (server) => whyHeld(context, server),
    wipeHanded: (pass, order) => wipeHanded(context, pass, order),
    wiping: (pass, disks = []) => wiping(context, pass, disks),
    wiped: (pass, disks = []) => wiped(context, pass, disks),
    wipeRefused: (pass, message) => wipeRefused(context, pass, message),
    wipeFailed: (pass, given) => wipeFailed(context, pass, given),
    allocate,
    explainAllocation: explain,
    bind: (binding) => bind(context, binding),
    boot: createBootStage(context),
    stream,
  };
}

// Asked for once; a failure is not kept, the next caller tries again.
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () =>
    (answer ??= ask().catch((thrown: unknown) => {
      answer = undefined;
      throw thrown;
    }));
}
