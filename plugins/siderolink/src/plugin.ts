import { definePlugin, integer, list, type Setting, text } from '@sidero/core';
import * as z from 'zod';
import { addStreams } from './add-streams.ts';
import { addTunnel } from './add-tunnel.ts';
import { bundlePart } from './bundle-part.ts';
import { addExplainer } from './explain/add-explainer.ts';

/** What the plugin is told; see its README. */
export const options = z.strictObject({
  endpoint: z.string().min(1).optional().describe('host or IP at which machines reach WireGuard; default the endpoint of the site'),
  port: z.int().min(1).max(65_535).default(51_821).describe('UDP port of WireGuard, told to machines and listened on'),
  interface: z
    .string()
    .regex(/^[a-z][\w.-]{0,14}$/i)
    .default('siderolink')
    .describe('name of the network interface'),
  tunnel: z
    .enum(['auto', 'kernel', 'user-space', 'loopback'])
    .default('auto')
    .describe("whose WireGuard: the kernel's, `wireguard-go`, or the kernel's where there is one; `loopback` is none, for demos on one machine"),
  transport: z
    .enum(['udp', 'grpc'])
    .default('udp')
    .describe("how machines send WireGuard's packets: `grpc` in streams to the main port, for sites that let no UDP pass"),
  documents: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe('whether configurations get the documents that keep SideroLink over reboots from disk; `auto`: where Talos can read them (1.5)'),
  logPort: z.int().min(1).max(65_535).default(4001).describe('TCP port of kernel logs in the tunnel'),
  eventPort: z.int().min(1).max(65_535).default(4002).describe('TCP port of the event sink in the tunnel'),
  negativeAddressFilter: z
    .array(z.union([z.cidrv4(), z.cidrv6()], 'is no prefix such as 10.244.0.0/16'))
    .default([])
    .describe('addresses of machines in these prefixes are not told of: `10.244.0.0/16`'),
  logBytes: z.int().min(65_536).default(4_194_304).describe('bytes of kernel log that are kept of a server'),
});

export type SideroLinkOptions = z.output<typeof options>;

/** SideroLink: a tunnel to every machine, through which its kernel log and Talos' events come. */
export const siderolink = definePlugin({
  name: 'siderolink',
  options,
  settings: {
    endpoint: text('SIDERO_CONTROLLER_MANAGER_SIDEROLINK_ENDPOINT'),
    port: integer('SIDERO_CONTROLLER_MANAGER_SIDEROLINK_PORT'),
    tunnel: text('SIDERO_SIDEROLINK_TUNNEL') as Setting<'auto' | 'kernel' | 'user-space' | 'loopback'>,
    negativeAddressFilter: list('SIDERO_CONTROLLER_MANAGER_EVENTS_NEGATIVE_ADDRESS_FILTER'),
  },
  setup(sidero, given) {
    sidero.bundle.add(bundlePart(given.port));
    addTunnel(sidero, given, addStreams(sidero, given));
    addExplainer(sidero, given);
  },
});
