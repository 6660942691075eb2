/** What the tunnel needs of a WireGuard, whoever's it is. */

/** A machine's end of the tunnel, as it shall be. */
export interface PeerSetting {
  /** base64 */
  readonly publicKey: string;
  /** Inside the tunnel, without prefix length; the only one that is let in. */
  readonly address: string;
  /** `host:port` to begin with; else it is learned when the machine speaks. */
  readonly endpoint?: string;
  /** How often something is sent so that the way stays open, s; 0: never. Default: as it is. */
  readonly keepaliveSeconds?: number;
}

/** A change of one peer. */
export type PeerChange = PeerSetting | { readonly publicKey: string; readonly remove: true };

/** A peer as the device has it. */
export interface PeerState {
  readonly publicKey: string;
  /** Without prefix length where it is that of one address. */
  readonly addresses: readonly string[];
  readonly endpoint?: string;
  /** When the last handshake was; undefined: never since the device is there. */
  readonly handshakeAt?: Date;
}

/** What a device is made with. */
export interface TunnelPlan {
  readonly interface: string;
  /** UDP. */
  readonly port: number;
  /** base64 */
  readonly privateKey: string;
  /** Of the server, without prefix length. */
  readonly address: string;
  readonly prefixLength: number;
}

/** A device that is up. Disposing takes it away. */
export interface Tunnel extends AsyncDisposable {
  readonly kind: 'kernel' | 'user-space' | 'loopback';
  /** @throws SIDERO_SIDEROLINK_TUNNEL_FAILED */
  peers(): Promise<readonly PeerState[]>;
  /** All or, when it throws, it is not known how many. @throws SIDERO_SIDEROLINK_TUNNEL_FAILED */
  apply(changes: readonly PeerChange[]): Promise<void>;
  /** Settles with the reason once the device is gone without our doing. */
  readonly lost: Promise<string>;
}

/** Makes a device, and takes over or removes what an earlier process of ours left. @throws SIDERO_SIDEROLINK_TUNNEL_UNAVAILABLE, SIDERO_SIDEROLINK_INTERFACE_TAKEN */
export type OpenTunnel = (plan: TunnelPlan, signal: AbortSignal) => Promise<Tunnel>;

/** MTU of the original's device, on both ends. */
export const MTU = 1280;
