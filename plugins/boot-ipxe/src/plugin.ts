import { join } from 'node:path';
import { boolean, definePlugin, integer } from '@sidero/core';
import * as z from 'zod';
import { ipxeFiles } from './boot-files.ts';
import { bundlePart } from './bundle-part.ts';
import { dhcpOptions, dhcpServices } from './dhcp/links.ts';
import { diskBoots } from './disk-boots.ts';
import { addRoutes } from './http-routes.ts';
import { bootstrapScript } from './script.ts';
import type { TftpServerOptions } from './tftp/server.ts';
import { tftpService } from './tftp-service.ts';

const port = z.int().min(0).max(65535);

const options = z.strictObject({
  tftpPort: port.default(69).describe('UDP port of TFTP; 0 takes a free one'),
  tftpAddress: z.union([z.ipv4(), z.ipv6()]).default('0.0.0.0').describe('address TFTP binds to; :: serves IPv6 and IPv4'),
  tftpMaxBlockSize: z.int().min(512).max(65464).default(1468).describe('largest block a client gets; 1468 fits an Ethernet frame of 1500 bytes'),
  tftpMaxWindowSize: z.int().min(1).max(65535).default(64).describe('most blocks a client gets before it acknowledges'),
  tftpTimeoutMs: z.int().min(1).max(60_000).default(1000).describe('silence before a block is sent again; doubles up to 8 times that'),
  tftpRetries: z.int().min(0).max(50).default(6).describe('repetitions before a silent client is given up'),
  tftpMaxTransfers: z.int().min(1).default(4096).describe('transfers at once; further clients ask again by themselves'),
  tftpMaxTransfersPerAddress: z.int().min(1).default(64).describe('transfers at once of one client address'),
  dhcp: z.array(dhcpOptions).default([]).describe('interfaces on which DHCP answers, and how; none named, no DHCP'),
  disableDhcpProxy: z.boolean().default(false).describe('leave out the interfaces whose mode is proxy'),
  dhcpPort: port.default(67).describe('UDP port of DHCP servers; another one only for tests'),
  dhcpClientPort: port.default(68).describe('UDP port of DHCP clients; another one only for tests'),
  dhcpBootServicePort: port.default(4011).describe("UDP port of PXE's boot service; another one only for tests"),
  ipxeDir: z.string().optional().describe('folder of the iPXE binaries; without it <dataDir>/ipxe, then /usr/lib/ipxe'),
});

/** DHCP, TFTP, iPXE scripts and the ways to boot from disk. */
export const bootIpxe = definePlugin({
  name: 'boot-ipxe',
  options,
  settings: { tftpPort: integer('SIDERO_TFTP_PORT'), disableDhcpProxy: boolean('SIDERO_CONTROLLER_MANAGER_DISABLE_DHCP_PROXY') },
  setup(sidero, given) {
    const { site, files } = sidero;
    sidero.bundle.add(bundlePart(given.tftpPort));
    const directories = given.ipxeDir ? [given.ipxeDir] : [join(site.dataDir, 'ipxe'), '/usr/lib/ipxe'];
    for (const file of ipxeFiles(directories, bootstrapScript(site.authority))) files.add(file);
    for (const diskBoot of diskBoots) sidero.diskBoots.add(diskBoot);
    addRoutes(sidero);
    sidero.services.add(tftpService(sidero, tftpOptions(given)));
    const interfaces = given.disableDhcpProxy ? given.dhcp.filter(({ mode }) => mode !== 'proxy') : given.dhcp;
    const ports = { server: given.dhcpPort, client: given.dhcpClientPort, bootService: given.dhcpBootServicePort };
    for (const service of dhcpServices(sidero, interfaces, ports)) sidero.services.add(service);
  },
});

function tftpOptions(given: z.output<typeof options>): TftpServerOptions {
  return {
    address: given.tftpAddress,
    port: given.tftpPort,
    maxBlockSize: given.tftpMaxBlockSize,
    maxWindowSize: given.tftpMaxWindowSize,
    timeoutMs: given.tftpTimeoutMs,
    retries: given.tftpRetries,
    maxTransfers: given.tftpMaxTransfers,
    maxTransfersPerAddress: given.tftpMaxTransfersPerAddress,
  };
}
