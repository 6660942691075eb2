import type { Sidero } from '@sidero/core';
import type { LinkListener } from './link.ts';
import type { SideroLinkOptions } from './plugin.ts';

/** The tunnel itself, who may join it, and what machines are told of it; `listeners` serve inside while it is up. */
export function addTunnel(_sidero: Sidero, _options: SideroLinkOptions, _listeners: readonly LinkListener[]): void {}
