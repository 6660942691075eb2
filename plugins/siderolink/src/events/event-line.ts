import type { MachineNames, TalosEvent } from '@sidero/core';
import type { TalosMessage } from './talos-message.ts';

/** What the line of an event tells. */
export interface EventLine {
  readonly at: Date;
  /** `[address]:port` of the machine. */
  readonly node: string;
  readonly event: TalosEvent;
  readonly names: MachineNames;
  readonly message: TalosMessage;
}

/** An event as one JSON line, its keys in the order that the original has them in. */
export function eventLine({ at, node, event, names, message }: EventLine): string {
  return JSON.stringify({
    level: message.kind === 'sequence' && message.error ? 'error' : 'info',
    ts: at.getTime() / 1000,
    caller: 'siderolink/events',
    msg: message.kind === 'service' ? `service ${message.message}` : 'incoming event',
    component: 'sink',
    node,
    id: event.id,
    type: event.type,
    ...names,
    ...event.fields,
  });
}

/** What an event says, in the keys and the order of the original. */
export function eventFields(message: TalosMessage): TalosEvent['fields'] {
  switch (message.kind) {
    case 'address':
      return { hostname: message.hostname, addresses: message.addresses };
    case 'config-load-error':
    case 'config-validation-error':
      return { error: message.error };
    case 'phase':
      return { phase: message.phase, action: message.action };
    case 'task':
      return { task: message.task, action: message.action };
    case 'service':
      return { service: message.service, action: message.action };
    case 'sequence':
      return { sequence: message.sequence, action: message.action, ...(message.error && { error: message.error.message }) };
    default:
      return {};
  }
}

/** `address:port`, with brackets around an IPv6 address. */
export function nodeText(address: string, port: string): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
