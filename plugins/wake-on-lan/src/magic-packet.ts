const REPETITIONS = 16;

/** The payload that wakes the network card of that address: six bytes of ones, then the address sixteen times. */
export function magicPacket(mac: string): Buffer {
  const address = Buffer.from(mac.replaceAll(/[:-]/g, ''), 'hex');
  return Buffer.concat([Buffer.alloc(6, 0xff), ...Array.from({ length: REPETITIONS }, () => address)]);
}

/** Whether a text is a MAC address in the usual notations, `02:00:00:00:00:01` or `02-00-00-00-00-01`, and that of one card. */
export function isMac(text: string): boolean {
  // The lowest bit of the first byte marks groups of cards.
  return /^[0-9a-f][02468ace]([:-]?[0-9a-f]{2}){5}$/i.test(text) && !/^(00[:-]?)+$/.test(text);
}
