import { BlockList, isIP } from 'node:net';

/** Whether an address is not to be told of. */
export type AddressFilter = (address: string) => boolean;

/** A filter of everything in `prefixes`, each as `10.244.0.0/16`. */
export function addressFilter(prefixes: readonly string[]): AddressFilter {
  const list = new BlockList();
  for (const prefix of prefixes) {
    const [network = '', length] = prefix.split('/');
    list.addSubnet(network, Number(length), isIP(network) === 6 ? 'ipv6' : 'ipv4');
  }
  return (address) => {
    const [bare = ''] = address.split('%');
    return list.check(bare, isIP(bare) === 6 ? 'ipv6' : 'ipv4');
  };
}
