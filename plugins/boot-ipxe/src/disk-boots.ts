import type { DiskBoot } from '@sidero/core';

// UEFI takes an end without an error for a boot that was wanted, and opens its setup screen; only after an error it goes on to what comes next.
const EXIT = '#!ipxe\niseq ${platform} efi && exit 1 ||\nexit\n';

/** The ways of booting from disk that the original knows. iPXE's `exit` hands over to the firmware's next boot option. */
export const diskBoots: readonly DiskBoot[] = [
  { name: 'ipxe-exit', answer: () => ({ status: 200, body: EXIT }) },
  { name: 'ipxe-sanboot', answer: () => ({ status: 200, body: '#!ipxe\nsanboot --no-describe --drive 0x80\n' }) },
  // Of use where the firmware's own iPXE asks; our boot script takes it for a failure and tries again.
  { name: 'http-404', answer: () => ({ status: 404, body: '' }) },
];
