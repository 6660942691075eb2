import type { BundlePart } from '@sidero/core';

/** The ports by which machines find their boot files. DHCP's is there for those who have it on; a port of 0 is a test's, and no part of a bundle. */
export function bundlePart(tftpPort: number): BundlePart {
  const tftp = { name: 'tftp', protocol: 'UDP', port: tftpPort, service: { name: 'sidero-tftp' } } as const;
  const dhcp = { name: 'dhcp', protocol: 'UDP', port: 67, service: { name: 'sidero-dhcp' } } as const;
  return { name: 'boot-ipxe', ports: tftpPort === 0 ? [dhcp] : [dhcp, tftp] };
}
