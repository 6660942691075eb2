/** The IP address of a client as it is written everywhere: an IPv4 client of a socket that listens on IPv6 too has a prefix. */
export function clientAddress(ip: string): string {
  return ip.replace(/^::ffff:(?=\d+\.)/, '');
}

/** The IP address in what grpc-js calls a peer: `10.0.0.7:4711`, `[fd00::7]:4711`, `::ffff:10.0.0.7:4711`. */
export function addressOfPeer(peer: string): string {
  return clientAddress(peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'));
}
