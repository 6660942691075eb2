import { setTimeout as pause } from 'node:timers/promises';
import type { NetworkBootMode } from '@sidero/core';
import { isTaken, refusal } from './answers.ts';
import type { Found, ServiceClient } from './client.ts';
import { ComputerSystem } from './documents.ts';
import type { Reply } from './exchange.ts';

/** How a UEFI machine boots from the network: by PXE, or by HTTP. */
export type NetworkBoot = 'pxe' | 'uefi-http';

/** What a system is asked for. */
export interface Override {
  readonly BootSourceOverrideTarget: 'Pxe' | 'UefiHttp';
  readonly BootSourceOverrideEnabled: 'Once';
  readonly BootSourceOverrideMode: 'UEFI' | 'Legacy';
}

/** A system, and what is wanted of it. */
interface Order {
  readonly system: string;
  readonly wish: Override;
  /** Pause before the system is read again, when it does not show what was ordered. */
  readonly lookMs: number;
}

const LOOKS = 3;

/** The override for one network boot in this mode. HTTP boot is UEFI's only. */
export function overrideFor(mode: NetworkBootMode, networkBoot: NetworkBoot): Override {
  return {
    BootSourceOverrideTarget: mode === 'uefi' && networkBoot === 'uefi-http' ? 'UefiHttp' : 'Pxe',
    BootSourceOverrideEnabled: 'Once',
    BootSourceOverrideMode: mode === 'uefi' ? 'UEFI' : 'Legacy',
  };
}

/**
 * Orders one network boot and reads it back. Another target, or an override that is off, is a fault; what else is not as ordered is given,
 * since there are services that never keep it.
 * @returns clauses like `BootSourceOverrideEnabled is Continuous`
 * @throws SIDERO_BMC_UNSUPPORTED, SIDERO_BMC_FAULT
 */
export async function setOverride(client: ServiceClient, order: Order, signal: AbortSignal): Promise<readonly string[]> {
  const reply = await patched(client, order, signal);
  // Somebody else changed the system since we read it.
  const last = reply.status === 412 ? await patched(client, order, signal) : reply;
  if (!isTaken(last)) throw refusal(last, client);
  for (let look = 1; ; look++) {
    const { document } = await client.get(order.system, ComputerSystem, signal);
    const { broken, kept } = compared(document, order.wish);
    if (broken.length === 0) return kept;
    if (look === LOOKS) throw client.failures.fault(`the boot override did not stay: ${client.service.clause(broken.join(', '))}`);
    await pause(order.lookMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Patches the version that it reads. */
async function patched(client: ServiceClient, { system, wish }: Order, signal: AbortSignal): Promise<Reply> {
  let found = await client.get(system, ComputerSystem, signal);
  const { BootSourceOverrideMode, ...withoutMode } = wish;
  // Some services list UefiHttp only once they are in UEFI mode.
  if (wish.BootSourceOverrideTarget === 'UefiHttp' && found.document.Boot?.BootSourceOverrideMode === 'Legacy') {
    await patch(client, { found, Boot: { BootSourceOverrideMode } }, signal);
    found = await client.get(system, ComputerSystem, signal);
  }
  const lacks = lackOf(found.document, wish);
  if (lacks !== undefined) throw client.failures.unsupported(client.service.clause(lacks));
  const mode = found.document.Boot?.BootSourceOverrideMode;
  const hasMode = mode !== undefined || found.document.Boot?.['BootSourceOverrideMode@Redfish.AllowableValues'] !== undefined;
  const reply = await patch(client, { found, Boot: hasMode ? wish : withoutMode }, signal);
  // Where the mode can be read only, it may well be right already.
  return reply.status === 400 && mode === BootSourceOverrideMode ? patch(client, { found, Boot: withoutMode }, signal) : reply;
}

function patch(client: ServiceClient, { found, Boot }: { found: Found<unknown>; Boot: Partial<Override> }, signal: AbortSignal): Promise<Reply> {
  const headers = found.etag === undefined ? {} : { 'if-match': found.etag };
  return client.order({ method: 'PATCH', path: found.path, body: { Boot }, headers }, signal);
}

/** What of a wish a system says it cannot do; undefined when it says nothing against it. */
function lackOf({ Boot }: ComputerSystem, wish: Override): string | undefined {
  if (!Boot) return 'the system has no Boot';
  const offers = {
    BootSourceOverrideTarget: Boot['BootSourceOverrideTarget@Redfish.AllowableValues'],
    BootSourceOverrideEnabled: Boot['BootSourceOverrideEnabled@Redfish.AllowableValues'],
    BootSourceOverrideMode: Boot['BootSourceOverrideMode@Redfish.AllowableValues'],
  };
  for (const member of MEMBERS) {
    const offer = offers[member];
    if (offer && offer.length > 0 && !offer.includes(wish[member])) return `${member} can be ${offer.join(', ')}, and not ${wish[member]}`;
  }
  return undefined;
}

const MEMBERS = ['BootSourceOverrideTarget', 'BootSourceOverrideEnabled', 'BootSourceOverrideMode'] as const;

/** What is not as ordered: what breaks the order, and what is kept as the service likes it. A member that is missing says nothing. */
function compared({ Boot }: ComputerSystem, wish: Override): { readonly broken: readonly string[]; readonly kept: readonly string[] } {
  const differing = MEMBERS.filter((member) => Boot?.[member] !== undefined && Boot[member] !== wish[member]);
  const breaks = (member: (typeof MEMBERS)[number]) => member === 'BootSourceOverrideTarget' || Boot?.[member] === 'Disabled';
  const told = (member: (typeof MEMBERS)[number]) => `${member} is ${Boot?.[member]}`;
  return { broken: differing.filter(breaks).map(told), kept: differing.filter((member) => !breaks(member)).map(told) };
}
