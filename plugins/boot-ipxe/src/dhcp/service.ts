import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { failure as coreFailure, hasCode, messageOf, type Service, type Sidero, SideroError } from '@sidero/core';
import type { Subnet } from './ipv4.ts';
import { decodeDhcp, type DhcpPacket, encodeDhcp, hardwareAddressOf } from './packet.ts';

/** UDP ports; other than the standard ones only for tests. */
export interface DhcpPorts {
  readonly server: number;
  readonly client: number;
  /** PXE's boot service, 4011. */
  readonly bootService: number;
}

/** A reply and what it means, for the log. */
export interface DhcpAnswer {
  readonly reply: DhcpPacket | undefined;
  readonly log: Readonly<Record<string, unknown>>;
}

/** One way of answering, on one interface with one address. */
export interface Responder {
  answer(request: DhcpPacket, via: { readonly isBootService: boolean }): Promise<DhcpAnswer> | DhcpAnswer;
}

/** What runs on one interface. */
export interface DhcpLink {
  readonly interface: string;
  /** Ports that are listened on. */
  readonly ports: readonly number[];
  /**
   * Begins with one of the interface's networks.
   * @throws SIDERO_DHCP_INTERFACE_MISSING, SIDERO_DHCP_RANGE_INVALID
   */
  open(subnets: readonly Subnet[]): { readonly subnet: Subnet; readonly responder: Responder };
}

const UNSPECIFIED = '0.0.0.0';
const LOOK_MS = 500;

interface DhcpServiceOptions {
  readonly name: string;
  readonly where: Service['where'];
  readonly ports: DhcpPorts;
  readonly links: readonly DhcpLink[];
  readonly subnetsOf: (name: string) => readonly Subnet[] | undefined;
  /** How often interfaces are looked at. Default 500: a machine that is switched on together with its switch asks only for some seconds. */
  readonly lookMs?: number;
  begin?(): Promise<void>;
}

/**
 * DHCP on named interfaces. Broadcasts reach only a socket on 0.0.0.0, which does not tell the interface they came in by: so each named
 * interface answers them, each from its own address, and what goes out on the wrong one is heard by nobody.
 */
export function dhcpService(sidero: Sidero, options: DhcpServiceOptions): Service {
  return {
    name: options.name,
    where: options.where,
    async run(signal, ready) {
      await options.begin?.();
      await using stack = new AsyncDisposableStack();
      const server = new DhcpSockets(sidero, options);
      stack.use(server);
      for (const port of new Set(options.links.flatMap(({ ports }) => ports))) await server.listen(port);
      const links = options.links.map((link) => server.keepLink(link, signal));
      ready();
      await Promise.all(links);
    },
  };
}

interface OpenLink {
  readonly link: DhcpLink;
  readonly subnet: Subnet;
  readonly responder: Responder;
  /** Bound to the interface's address, so that the kernel sends broadcasts out there. One for each port. */
  readonly sockets: ReadonlyMap<number, Socket>;
}

class DhcpSockets implements AsyncDisposable {
  readonly #sidero: Sidero;
  readonly #options: DhcpServiceOptions;
  readonly #listening: Socket[] = [];
  readonly #open = new Set<OpenLink>();
  readonly #count: (labels: { message: string; result: string }) => void;

  constructor(sidero: Sidero, options: DhcpServiceOptions) {
    this.#sidero = sidero;
    this.#options = options;
    this.#count = sidero.metrics.counter('sidero_dhcp_packets_total', 'DHCP packets by kind and by what came of them.', ['message', 'result']);
  }

  /** @throws SIDERO_LISTEN_FAILED */
  async listen(port: number): Promise<void> {
    const socket = await this.#bind(port, UNSPECIFIED);
    this.#listening.push(socket);
    socket.on('message', (bytes, from) =>
      this.#receive(
        bytes,
        from,
        [...this.#open].filter(({ sockets }) => sockets.has(port)).map((link) => ({ link, port })),
      ),
    );
  }

  /** Answers on a link as long as its interface has its address; a missing interface is logged once and waited for. */
  async keepLink(link: DhcpLink, signal: AbortSignal): Promise<void> {
    let told = '';
    while (!signal.aborted) {
      try {
        await using open = await this.#openLink(link);
        told = '';
        await this.#whileUp(open.link, signal);
      } catch (error) {
        if (!(error instanceof SideroError)) throw error;
        if (error.message !== told) this.#sidero.log.error({ interface: link.interface, code: error.code, next: error.next }, error.message);
        told = error.message;
      }
      await pause(this.#options.lookMs ?? LOOK_MS, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#listening) await closed(socket);
  }

  async #openLink(link: DhcpLink): Promise<AsyncDisposable & { link: OpenLink }> {
    const { subnet, responder } = link.open(this.#options.subnetsOf(link.interface) ?? []);
    const sockets = new Map<number, Socket>();
    const open: OpenLink = { link, subnet, responder, sockets };
    for (const port of link.ports) {
      const socket = await this.#bind(port, subnet.address);
      socket.setBroadcast(true);
      // Renewals are sent to our address, and then come in here.
      socket.on('message', (bytes, from) => this.#receive(bytes, from, [{ link: open, port }]));
      sockets.set(port, socket);
    }
    this.#open.add(open);
    this.#sidero.log.info({ interface: link.interface, address: subnet.address, service: this.#options.name }, 'DHCP answers');
    const close = async (): Promise<void> => {
      this.#open.delete(open);
      for (const socket of sockets.values()) await closed(socket);
    };
    return { link: open, [Symbol.asyncDispose]: close };
  }

  async #whileUp({ link, subnet }: OpenLink, signal: AbortSignal): Promise<void> {
    const isUp = () =>
      this.#options.subnetsOf(link.interface)?.some(({ address, netmask }) => address === subnet.address && netmask === subnet.netmask);
    while (!signal.aborted && isUp()) await pause(this.#options.lookMs ?? LOOK_MS, signal);
    if (!signal.aborted)
      this.#sidero.log.warn({ interface: link.interface, address: subnet.address }, 'DHCP pauses: the interface lost its address or its carrier');
  }

  async #bind(port: number, address: string): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    try {
      socket.bind(port, address);
      await once(socket, 'listening');
    } catch (cause) {
      throw coreFailure('SIDERO_LISTEN_FAILED', { what: this.#options.name, address: `${address}:${port}`, cause });
    }
    socket.on('error', (error) => this.#sidero.log.error({ err: error }, 'DHCP socket failed'));
    return socket;
  }

  #receive(bytes: Buffer, from: RemoteInfo, at: readonly { readonly link: OpenLink; readonly port: number }[]): void {
    let request: DhcpPacket;
    try {
      request = decodeDhcp(bytes);
    } catch (error) {
      if (!hasCode(error, 'SIDERO_DHCP_MALFORMED')) throw error;
      this.#count({ message: 'none', result: 'malformed' });
      return this.#sidero.log.warn({ address: from.address }, error.message);
    }
    if (request.op === 'request') this.#tellSeen(request, from);
    for (const { link, port } of at) {
      this.#answer(request, from, { link, port }).catch((error: unknown) => {
        this.#count({ message: messageName(request), result: 'failed' });
        this.#sidero.log.error({ err: error, interface: link.link.interface, detail: messageOf(error) }, 'DHCP answer failed');
      });
    }
  }

  async #answer(request: DhcpPacket, from: RemoteInfo, { link, port }: { readonly link: OpenLink; readonly port: number }): Promise<void> {
    const { reply, log } = await link.responder.answer(request, { isBootService: port === this.#options.ports.bootService });
    const message = messageName(request);
    this.#count({ message, result: reply ? messageName(reply) : 'ignored' });
    const line = { interface: link.link.interface, mac: hardwareAddressOf(request), message, ...log };
    if (!reply) return this.#sidero.log.debug(line, 'DHCP packet not answered');
    const to = this.#destination(request, from);
    link.sockets.get(port)?.send(encodeDhcp(reply), to.port, to.address);
    this.#sidero.log.info({ ...line, answer: messageName(reply) }, 'DHCP');
  }

  // A relay takes answers at the server port. A client without an address hears only broadcasts: Node cannot address a frame to it.
  #destination(request: DhcpPacket, from: RemoteInfo): { readonly address: string; readonly port: number } {
    if (request.giaddr !== UNSPECIFIED) return { address: request.giaddr, port: this.#options.ports.server };
    if (from.address !== UNSPECIFIED) return { address: from.address, port: from.port };
    return { address: '255.255.255.255', port: this.#options.ports.client };
  }

  #tellSeen(request: DhcpPacket, from: RemoteInfo): void {
    const address = from.address === UNSPECIFIED ? {} : { address: from.address };
    this.#sidero.lifecycle.stream({
      type: 'seen',
      wire: 'dhcp',
      mac: hardwareAddressOf(request),
      ...address,
      detail: messageName(request),
      at: new Date(),
    });
  }
}

const MESSAGE_NAMES = ['none', 'discover', 'offer', 'request', 'decline', 'ack', 'nak', 'release', 'inform'] as const;

function messageName(packet: DhcpPacket): string {
  return MESSAGE_NAMES[packet.options.get(53)?.[0] ?? 0] ?? 'other';
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}

async function closed(socket: Socket): Promise<void> {
  const end = once(socket, 'close');
  socket.close();
  await end;
}
