/**
 * Annotation of a binding: the connections that its machine has to us in the tunnel, our port and the machine's: `4002/51234 4001/40122`. Whoever has
 * the tunnel next ends them.
 */
export const CONNECTIONS_ANNOTATION = 'metal.sidero.dev/siderolink-connections';

/** A connection of a machine through the tunnel, by its TCP ports. */
export interface LinkConnection {
  readonly ownPort: number;
  readonly machinePort: number;
}

/** What CONNECTIONS_ANNOTATION holds; empty: there are none. */
export function connectionsText(connections: readonly LinkConnection[]): string {
  return connections.map(({ ownPort, machinePort }) => `${ownPort}/${machinePort}`).join(' ');
}

/** Reads it; what is none of ours is left out. */
export function connectionsOf(text = ''): readonly LinkConnection[] {
  return text.split(' ').flatMap((one) => {
    const [, ownPort, machinePort] = /^(\d{1,5})\/(\d{1,5})$/.exec(one)?.map(Number) ?? [];
    return isPort(ownPort) && isPort(machinePort) ? [{ ownPort, machinePort }] : [];
  });
}

function isPort(port: number | undefined): port is number {
  return port !== undefined && port > 0 && port < 65_536;
}
