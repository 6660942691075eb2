import type { Sidero } from '@sidero/core';
import type { LinkListener } from './link.ts';
import type { SideroLinkOptions } from './plugin.ts';

/** The places in the tunnel where machines send their kernel logs and events. */
export function addStreams(_sidero: Sidero, _options: SideroLinkOptions): readonly LinkListener[] {
  return [];
}
