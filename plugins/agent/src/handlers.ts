import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { type BootPass, failure as coreFailure, type HardwareReport, type Server, ServerKind, type Sidero } from '@sidero/core';
import { isIP } from 'node:net';
import { mergeAddresses } from './addresses.ts';
import type { Agent, CreateServerRequest } from './agent_pb.ts';
import { bmcUpdateOf, orderBmcSetup, updateBmc } from './bmc.ts';
import { type Border, border } from './border.ts';
import { diskOutcomesOf } from './disk-outcomes.ts';
import { hardwareOf } from './hardware.ts';
import type { AgentOptions } from './options.ts';
import { abilitiesOf, type WipeOrder, wipeOrderOf } from './wipe-order.ts';

/** Who calls. */
export interface Caller {
  /** As it came in metadata. */
  readonly token: string | undefined;
  /** IP address, without port and brackets. */
  readonly address: string;
}

type Methods = typeof Agent.method;

/** One function a method: the request as decoded in, the answer out. A throw becomes a gRPC status. */
export type AgentHandlers = {
  readonly [M in keyof Methods]: (request: MessageShape<Methods[M]['input']>, caller: Caller) => Promise<MessageInitShape<Methods[M]['output']>>;
};

/** Component that our Events name, as in the original. */
const COMPONENT = 'sidero-server';
const ADDRESS_TYPES = new Set(['InternalIP', 'ExternalIP', 'Hostname', 'InternalDNS', 'ExternalDNS']);

/** What the agent API does: every method checks its request at the border, then who calls, then runs its stage. */
export function agentHandlers(sidero: Sidero, options: AgentOptions): AgentHandlers {
  return {
    createServer: (request, caller) => createServer(sidero, options, { request, caller }),
    reconcileServerAddresses: reconcileServerAddresses(sidero),
    markServerAsWiped: markServerAsWiped(sidero),
    heartbeat: heartbeat(sidero),
    updateBMCInfo: updateBMCInfo(sidero),
    reportFailure: reportFailure(sidero),
  };
}

function reconcileServerAddresses(sidero: Sidero): AgentHandlers['reconcileServerAddresses'] {
  return async (request, caller) => {
    const check = border('ReconcileServerAddresses');
    const addresses = check.list('address', request.address).map((address) => addressOf(address, check));
    const pass = await admit(sidero, check.uuid('uuid', request.uuid), caller);
    await sidero.resources.change(ServerKind, { name: pass.uuid }, (draft) => {
      const known = draft.status?.addresses ?? [];
      const merged = mergeAddresses(known, addresses);
      if (merged === known) return false;
      draft.status = { ...draft.status, addresses: [...merged] };
    });
    return {};
  };
}

function markServerAsWiped(sidero: Sidero): AgentHandlers['markServerAsWiped'] {
  return async (request, caller) => {
    const check = border('MarkServerAsWiped');
    const disks = diskOutcomesOf(request.disks, check);
    await sidero.lifecycle.wiped(await admit(sidero, check.uuid('uuid', request.uuid), caller), disks);
    return {};
  };
}

function heartbeat(sidero: Sidero): AgentHandlers['heartbeat'] {
  const { lifecycle } = sidero;
  return async (request, caller) => {
    const check = border('Heartbeat');
    const disks = diskOutcomesOf(request.disks, check);
    const pass = await admit(sidero, check.uuid('uuid', request.uuid), caller);
    const hold = await lifecycle.wiping(pass, disks);
    return { token: (await lifecycle.renew(pass)) ?? '', stop: hold !== undefined, stopReason: hold?.hold ?? '' };
  };
}

function updateBMCInfo(sidero: Sidero): AgentHandlers['updateBMCInfo'] {
  return async (request, caller) => {
    const check = border('UpdateBMCInfo');
    const update = bmcUpdateOf(request.bmcInfo, check, caller.address);
    const pass = await admit(sidero, check.uuid('uuid', request.uuid), caller);
    const server = await theServer(sidero, pass);
    if (!(await updateBmc(sidero.resources, server, update))) return {};
    await sidero.resources.record(server, { type: 'Normal', reason: 'BMC Update', message: 'BMC info updated via API.', component: COMPONENT });
    return {};
  };
}

function reportFailure(sidero: Sidero): AgentHandlers['reportFailure'] {
  return async (request, caller) => {
    const check = border('ReportFailure');
    const stage = check.required('stage', request.stage, 32);
    // An Event holds 1024 bytes; the end of a longer text is on the machine's console.
    const message = check.required('message', request.message.slice(0, 900), 900);
    const disks = diskOutcomesOf(request.disks, check);
    const pass = await admit(sidero, check.uuid('uuid', request.uuid), caller);
    sidero.log.warn({ server: pass.uuid, stage, problem: message }, 'machine reported a failure');
    const server = await theServer(sidero, pass);
    if (stage === 'wipe') await sidero.lifecycle.wipeFailed(pass, { message, disks });
    else await sidero.resources.record(server, { type: 'Warning', reason: 'Agent Failure', message: `${stage}: ${message}`, component: COMPONENT });
    return {};
  };
}

async function admit({ lifecycle }: Sidero, uuid: string, caller: Caller): Promise<BootPass> {
  const pass = await lifecycle.admit({ uuid, ...caller });
  lifecycle.stream({ type: 'seen', wire: 'agent', uuid, address: caller.address, at: new Date() });
  return pass;
}

async function theServer({ resources }: Sidero, pass: BootPass): Promise<Server> {
  const server = await resources.get(ServerKind, { name: pass.uuid }, { live: true });
  if (!server) throw coreFailure('SIDERO_RESOURCE_MISSING', { kind: ServerKind.kind, name: pass.uuid });
  return server;
}

type Called = { readonly request: CreateServerRequest; readonly caller: Caller };

async function createServer(sidero: Sidero, options: AgentOptions, called: Called): ReturnType<AgentHandlers['createServer']> {
  const { lifecycle } = sidero;
  const report = reportOf(called);
  const pass = await admit(sidero, report.uuid, called.caller);
  const { server } = await lifecycle.discover(report, pass);
  const token = (await lifecycle.renew(pass)) ?? '';
  if (!server.spec?.accepted) return { token };
  // The agent of the original restarts by itself; ours waits until there is a reason.
  if (called.request.agentVersion !== '' && (await hasOtherBoot(sidero, report))) return { token, accepted: true, reboot: true };
  const bmc = options.autoBmcSetup ? await orderBmcSetup(sidero.resources, server, called.request) : {};
  if (server.status?.isClean) return { token, accepted: true, ...bmc };
  const order = await orderWipe(sidero, server, { pass, request: called.request });
  if (!order.wipe) return { token, accepted: true, ...bmc, hold: order.hold };
  const { insecure, wipePlan } = order;
  const rebootTimeout = sidero.site.rebootTimeoutMs / 1000;
  return { token, accepted: true, ...bmc, wipe: true, insecureWipe: insecure, rebootTimeout, ...(wipePlan && { wipePlan }) };
}

/** Whether the machine would boot something else than the agent now: it was allocated, or shall start from its disk. */
async function hasOtherBoot({ lifecycle }: Sidero, { uuid, hardware, address }: HardwareReport): Promise<boolean> {
  const mac = hardware.network?.interfaces?.[0]?.mac ?? '';
  const { target } = await lifecycle.boot({ uuid, mac, arch: 'amd64', address, peek: true });
  return target === 'environment' || target === 'disk';
}

async function orderWipe(sidero: Sidero, server: Server, given: { pass: BootPass; request: CreateServerRequest }): Promise<WipeOrder> {
  const plan = await sidero.lifecycle.wipe(server);
  const order = wipeOrderOf(plan, abilitiesOf(given.request));
  if (order.wipe && !('hold' in plan)) {
    const forbidden = await sidero.lifecycle.wipeHanded(given.pass, { plan, isByDisk: order.wipePlan !== undefined });
    if (forbidden) return { wipe: false, hold: forbidden.hold, unable: false };
    sidero.log.info({ server: given.pass.uuid, method: plan.method, rules: plan.disks.length }, 'wipe handed to the machine');
  } else if (!order.wipe && order.unable) await sidero.lifecycle.wipeRefused(given.pass, order.hold);
  return order;
}

function reportOf({ request, caller }: Called): HardwareReport {
  const check = border('CreateServer');
  const { hardware } = request;
  if (!hardware?.system) throw check.invalid('hardware.system', 'is missing');
  return {
    uuid: check.uuid('hardware.system.uuid', hardware.system.uuid),
    hardware: hardwareOf(hardware, check),
    hostname: check.text('hostname', request.hostname, 253),
    address: caller.address,
    capabilities: check.list('capabilities', request.capabilities, 64).map((capability) => check.required('capabilities', capability, 64)),
  };
}

function addressOf(told: { type: string; address: string }, check: Border) {
  const type = check.required('address.type', told.type, 32);
  const address = check.required('address.address', told.address, 253);
  if (!ADDRESS_TYPES.has(type)) throw check.invalid('address.type', `is "${type}", which is no type of a NodeAddress`);
  if (type.endsWith('IP') && isIP(address) === 0) throw check.invalid('address.address', `is "${address}", not an IP address`);
  return { type, address };
}
