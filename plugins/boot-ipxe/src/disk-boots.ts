import type { DiskBoot } from '@sidero/core';

/** The ways of booting from disk that the original knows. iPXE's `exit` hands over to the firmware's next boot option. */
export const diskBoots: readonly DiskBoot[] = [
  { name: 'ipxe-exit', answer: () => ({ status: 200, body: '#!ipxe\nexit\n' }) },
  { name: 'ipxe-sanboot', answer: () => ({ status: 200, body: '#!ipxe\nsanboot --no-describe --drive 0x80\n' }) },
  // Of use where the firmware's own iPXE asks; our boot script takes it for a failure and tries again.
  { name: 'http-404', answer: () => ({ status: 404, body: '' }) },
];
