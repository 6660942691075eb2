/** `${NAME:=default}`: filled in by clusterctl at install time; what is unset or empty becomes the default. */
export type Placeholder = `\${${string}:=${string}}`;

/** Rights in the API, as in a ClusterRole. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** A port that is reached from outside the cluster, through a Service of its own. */
export interface BundlePort {
  /** At most 15 characters, lower-case: "tftp". */
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP';
  /** What is listened on. */
  readonly port: number | Placeholder;
  readonly service: {
    readonly name: string;
    /** Default: what is listened on. */
    readonly port?: number | Placeholder;
  };
}

/** A container beside the manager that shows something of it: `kubectl logs` finds it by its name. */
export interface FollowerContainer {
  readonly name: string;
  /** What `sidero` is called with; it runs as nobody, without capabilities. */
  readonly args: readonly string[];
}

/**
 * What a plugin needs of the cluster that Sidero is installed in. `sidero manifests --bundle` makes ClusterRoles, Services and the pod of it; kinds, with
 * their webhooks, and settings are known already.
 */
export interface BundlePart {
  /** Unique, lower-case; its rights are ClusterRole `<name>-manager-role`. */
  readonly name: string;
  /** What Sidero does in the API for this plugin, and no more. */
  readonly rules?: readonly PolicyRule[];
  readonly ports?: readonly BundlePort[];
  /** Of Linux, for the manager: "NET_ADMIN". */
  readonly capabilities?: readonly string[];
  /** Character devices of the node, for the manager: "/dev/net/tun". */
  readonly devices?: readonly string[];
  readonly followers?: readonly FollowerContainer[];
  /** Folders of the data directory that followers see as well: "stream". */
  readonly sharedFolders?: readonly string[];
  /** Folders of the data directory that outlive the manager's container, as long as its pod does: "logs". */
  readonly keptFolders?: readonly string[];
  /** Files that lie beside `infrastructure-components.yaml`, by name: "cluster-template.yaml". */
  readonly files?: Readonly<Record<string, string>>;
}
