/** The IP address of a client as it is written everywhere: an IPv4 client of a socket that listens on IPv6 too has a prefix. */
export function clientAddress(ip: string): string {
  return ip.replace(/^::ffff:(?=\d+\.)/, '');
}
