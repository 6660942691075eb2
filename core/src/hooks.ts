import { AsyncSeriesBailHook, AsyncSeriesWaterfallHook, SyncHook } from 'tapable';
import type { DiskRecord, HardwareInformation, Server, ServerBinding, ServerClass } from './resources/kinds.ts';

/** CPU architecture of a machine, as the boot files are named. */
export type Arch = 'amd64' | 'arm64';

/** What a machine says of itself when it registers. */
export interface HardwareReport {
  /** SMBIOS system UUID, lower-case with hyphens: the Server's name. */
  readonly uuid: string;
  readonly hardware: HardwareInformation;
  readonly hostname: string;
  /** Address the report came from. */
  readonly address: string;
  /** Abilities the agent told us ("wipe-plan"); empty for the original's agent. */
  readonly capabilities: readonly string[];
}

/** The Server that a report would make; `discover` taps return a changed copy. */
export interface ServerDraft {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Server['spec'] & {};
}

/** A tap's opinion on a Server that is not accepted yet. */
export interface Verdict {
  readonly accepted: boolean;
  /** One sentence for the Event. */
  readonly reason: string;
}

/** How one disk is wiped. */
export type WipeMethod = 'insecure' | 'zero' | 'discard' | 'nvme-sanitize' | 'nvme-format' | 'ata-secure-erase';

/** What is to be wiped on a Server, and why. */
export interface WipePlan {
  /** Method for every disk not listed in `disks`. */
  readonly method: WipeMethod;
  /** Rules by serial number or WWN, for disks that differ from `method`; the first that fits a disk counts. */
  readonly disks: readonly { readonly serial?: string; readonly wwn?: string; readonly method: WipeMethod | 'keep'; readonly reason: string }[];
}

/** One disk of a wipe: how far it is, or how it ended. */
export type DiskOutcome = Readonly<DiskRecord>;

/** Nothing may be done to the disks now. */
export interface Hold {
  readonly hold: string;
}

/** Who wants a server. */
export interface Claim {
  readonly namespace: string;
  readonly name: string;
  /** Of the MetalMachine: another one of the same name is another claim. */
  readonly uid?: string;
  /** Labels of the MetalMachine; the ServerBinding gets them. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The ServerBinding gets these, too. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Name of the ServerClass it is to be of. With `server`: what the ServerBinding tells of, not a demand. */
  readonly serverClass?: string;
  /** The very Server that is wanted. */
  readonly server?: string;
  /** Only servers whose label `topology.kubernetes.io/zone` says so. */
  readonly failureDomain?: string;
}

/** A Server that a claim may get. */
export interface Candidate {
  readonly server: Server;
  /** The highest is taken; of several the first. 0 at first, and taps add to it. */
  readonly score: number;
  /** What made the score, for people: `+50: its zone has none of the cluster's machines`. */
  readonly notes: readonly string[];
}

/** A Server that a claim does not get. */
export interface Rejection {
  readonly server: Server;
  /** Who says so; `core` for what every Server must be. */
  readonly plugin: string;
  /** In words that stand after "it is" and after a count: `over its power budget`. */
  readonly reason: string;
}

/**
 * Candidates for a claim, a window of those that fit. A tap gives scores, or moves a candidate to `rejected`; it may add a Server that the
 * window lacks. Whatever is chosen is looked at in the API once more before it is taken.
 */
export interface Selection {
  readonly claim: Claim;
  /** In the order of their names. */
  readonly candidates: readonly Candidate[];
  readonly rejected: readonly Rejection[];
  /** What other claims are just taking: their ServerBindings may not be there yet. */
  readonly pending: readonly { readonly server: Server; readonly claim: Claim }[];
}

/** Every Server, and why a claim would get it or not; what `allocate` would do now. */
export interface AllocationExplained {
  readonly claim: Claim;
  /** The Server that the claim has already. */
  readonly taken: Server | undefined;
  /** The best first. */
  readonly candidates: readonly Candidate[];
  readonly rejected: readonly Rejection[];
}

/** What a bound machine is told about itself; applied last to its configuration. */
export interface MachineIdentity {
  readonly labels: Readonly<Record<string, string>>;
  /** Extra Talos configuration documents, YAML. */
  readonly documents: readonly string[];
  /** RFC 6902 patches of the machine configuration. */
  readonly patches: readonly { readonly op: string; readonly path: string; readonly value?: unknown }[];
}

/** A machine that asks what to boot. Strings are as the machine sent them, lower-cased where case carries no meaning. */
export interface BootRequest {
  readonly uuid: string;
  /** Lower-case, colon-separated; empty when it did not parse. */
  readonly mac: string;
  readonly arch: Arch;
  readonly address: string;
  /** HEAD requests and previews ask without anything being recorded or handed out. */
  readonly peek?: boolean;
}

/** What a machine boots; the transport renders it. */
export type BootPlan =
  | {
      readonly target: 'agent' | 'environment';
      /** Folder under /env: `agent-amd64`, `default`, … */
      readonly environment: string;
      readonly args: readonly string[];
      readonly reason: string;
    }
  | { readonly target: 'disk' /** Name in `diskBoots`. */; readonly method: string; readonly reason: string }
  | {
      /** Not now: the machine asks again. `status` is what clients other than iPXE get. */
      readonly target: 'wait';
      readonly status: 404 | 412 | 429 | 500 | 503;
      readonly reason: string;
    };

/** The resources a boot is decided from. */
export interface BootFacts {
  readonly server: Server | undefined;
  readonly binding: ServerBinding | undefined;
  readonly serverClass: ServerClass | undefined;
}

/** Where a machine was seen on the network. */
export type Wire = 'dhcp' | 'tftp' | 'http' | 'ipxe' | 'agent';

/** Whom a record of a machine's is from, as the API has it now; what is not known is absent. The keys are those of the original's log lines. */
export interface MachineNames {
  /** Name of the Server and the ServerBinding. */
  readonly server_uuid?: string;
  /** Of Cluster, MetalMachine and Machine. */
  readonly namespace?: string;
  readonly cluster?: string;
  readonly metal_machine?: string;
  readonly machine?: string;
}

/** What Talos tells of itself; `fields` are those of its type, as the original's log has them. */
export interface TalosEvent {
  /** Its own, ordered by time. */
  readonly id: string;
  /** `type.googleapis.com/machine.SequenceEvent`. */
  readonly type: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Something that happened; told after the fact. */
export type ServerEvent =
  /** A record of a machine's kernel log. `line` is what the `serverlogs` container prints: one JSON object, no line break. */
  | { readonly type: 'log'; readonly uuid?: string; readonly names: MachineNames; readonly line: string; readonly at: Date }
  /** `line` is what the `serverevents` container prints. */
  | {
      readonly type: 'talos';
      readonly uuid?: string;
      readonly names: MachineNames;
      readonly event: TalosEvent;
      readonly line: string;
      readonly at: Date;
    }
  | {
      readonly type: 'seen';
      readonly wire: Wire;
      readonly uuid?: string;
      readonly mac?: string;
      readonly address?: string;
      readonly detail?: string;
      readonly at: Date;
    }
  | {
      readonly type: 'transfer';
      readonly wire: 'tftp' | 'http';
      readonly file: string;
      readonly address: string;
      readonly sentBytes: number;
      readonly totalBytes: number;
      readonly state: 'running' | 'done' | 'failed';
      readonly at: Date;
    }
  | { readonly type: 'discovered' | 'accepted' | 'refused' | 'wiped'; readonly uuid: string; readonly detail: string; readonly at: Date }
  | { readonly type: 'wiping'; readonly uuid: string; readonly disks: readonly DiskOutcome[]; readonly at: Date }
  | { readonly type: 'power'; readonly uuid: string; readonly driver: string; readonly detail: string; readonly at: Date }
  | {
      readonly type: 'environment';
      readonly name: string;
      readonly file: string;
      readonly receivedBytes: number;
      readonly totalBytes: number | undefined;
      readonly state: 'running' | 'done' | 'failed';
      readonly detail?: string;
      readonly at: Date;
    };

/**
 * The seven hooks of a server's life. A value to complete is a waterfall, a yes/no is a bail, a fact is sync.
 * In a waterfall a tap returns the new value, or `undefined` to leave it; in a bail hook `undefined` passes.
 */
export interface LifecycleHooks {
  readonly discover: AsyncSeriesWaterfallHook<[draft: ServerDraft, report: HardwareReport]>;
  readonly accept: AsyncSeriesBailHook<[server: Server], Verdict | undefined>;
  readonly wipe: AsyncSeriesWaterfallHook<[plan: WipePlan | Hold, server: Server]>;
  readonly allocate: AsyncSeriesWaterfallHook<[selection: Selection]>;
  readonly bind: AsyncSeriesWaterfallHook<[identity: MachineIdentity, binding: ServerBinding, server: Server]>;
  readonly boot: AsyncSeriesWaterfallHook<[plan: BootPlan, request: BootRequest]>;
  /** A tap may be an async function: what comes meanwhile waits for it, up to 10,000 events; then the oldest is dropped, and counted. */
  readonly stream: SyncHook<[event: ServerEvent]>;
}

export type HookName = keyof LifecycleHooks;

/** Fresh hooks, untapped. */
export function createHooks(): LifecycleHooks {
  return {
    discover: new AsyncSeriesWaterfallHook(['draft', 'report']),
    accept: new AsyncSeriesBailHook(['server']),
    wipe: new AsyncSeriesWaterfallHook(['plan', 'server']),
    allocate: new AsyncSeriesWaterfallHook(['selection']),
    bind: new AsyncSeriesWaterfallHook(['identity', 'binding', 'server']),
    boot: new AsyncSeriesWaterfallHook(['plan', 'request']),
    stream: new SyncHook(['event']),
  };
}
