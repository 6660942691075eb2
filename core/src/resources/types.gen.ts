// Generated from core/manifests/crds, do not edit, remake with npm run types.

import type { KubeObject, ObjectMeta } from './kinds.ts';

/** Access to the baseboard management controller (IPMI over LAN). */
export interface Bmc {
  /** IP address or host name of the BMC. */
  endpoint: string;
  /** IPMI interface type as ipmitool names it. Default lanplus. */
  interface?: string;
  /** Password. Wins over passFrom. */
  pass?: string;
  /** Where the password is read from when it is not given literally. */
  passFrom?: {
    /** A key of a Secret. */
    secretKeyRef?: SecretKeyRef;
  };
  /** UDP port of the BMC. Default 623. */
  port?: number;
  /** User name. Wins over userFrom. */
  user?: string;
  /** Where the user name is read from when it is not given literally. */
  userFrom?: {
    /** A key of a Secret. */
    secretKeyRef?: SecretKeyRef;
  };
}

/** The last network boot that was handed a token; lets any replica judge calls from that boot. */
export interface BootRecord {
  /** Address the boot was answered to. */
  address?: string;
  /** When the token was handed out. */
  handedAt?: string;
  /** Id of the boot, part of its token. */
  id?: string;
  /** MAC address the machine booted from, lower case with colons. */
  mac?: string;
  /** When a call with that token last came in. */
  seenAt?: string;
  /** When this boot was told to wipe; only then may it report the machine clean. */
  wipeHandedAt?: string;
}

/** An observation about this object, in the form Cluster API uses. */
export interface Condition {
  /** When anything about the condition last changed. */
  lastTransitionTime: string;
  /** The reason in a sentence, for people. */
  message?: string;
  /** The reason in one CamelCase word, for programs. */
  reason?: string;
  /** How bad a False status is: Error, Warning or Info. */
  severity?: string;
  /** True, False or Unknown. */
  status: string;
  /** What the condition is about; at most one condition of each type. */
  type: string;
}

/** One operation of a JSON patch (RFC 6902). */
export interface ConfigPatch {
  /** JSON pointer to what copy and move take. */
  from?: string;
  /** Operation: add, copy, move, remove, replace or test. */
  op: string;
  /** JSON pointer to the place in the configuration. */
  path: string;
  /** Value for add, replace and test; of any shape. */
  value?: unknown;
}

/** What is done to one disk, and how far it is. */
export interface DiskRecord {
  /** Name of the device on the machine. */
  deviceName?: string;
  /** Bytes treated so far. */
  doneBytes?: number;
  /** How it is wiped, or keep. */
  method?: string;
  /** Why it failed. */
  problem?: string;
  /** Why this method. */
  reason?: string;
  /** Places that were read back and found empty. */
  samples?: number;
  /** How long it took. */
  seconds?: number;
  /** Serial number of the disk. */
  serial?: string;
  /** Size of the disk. */
  sizeBytes?: number;
  /** One of pending, running, done, kept, failed. */
  state?: string;
  /** World wide name of the disk. */
  wwn?: string;
}

/** Kernel, initial RAM disk and kernel arguments that machines boot over the network. */
export interface Environment extends KubeObject {
  apiVersion: 'metal.sidero.dev/v1alpha2';
  kind: 'Environment';
  metadata: ObjectMeta;
  /** What machines boot over the network. */
  spec?: EnvironmentSpec;
  /** Whether the files are there to be served. */
  status?: EnvironmentStatus;
}

/** State of one file. */
export interface EnvironmentCondition {
  /** When the condition last changed. */
  lastTransitionTime?: string;
  /** Why the file is not ready, in a sentence. */
  message?: string;
  /** Why the file is not ready, in one word. */
  reason?: string;
  /** Digest the file was given in the spec. */
  sha512?: string;
  /** True or False. */
  status: string;
  /** Always Ready. */
  type: string;
  /** Where the file comes from. */
  url?: string;
}

/** What machines boot over the network. */
export interface EnvironmentSpec {
  /** The initial RAM disk to boot. */
  initrd?: {
    /** SHA-512 digest of the file in hex. Checked when given. */
    sha512?: string;
    /** Where the file is downloaded from. */
    url?: string;
  };
  /** The kernel to boot. */
  kernel?: {
    /** Kernel command line, one argument each. */
    args?: string[];
    /** SHA-512 digest of the file in hex. Checked when given. */
    sha512?: string;
    /** Where the file is downloaded from. */
    url?: string;
  };
}

/** Whether the files are there to be served. */
export interface EnvironmentStatus {
  /** One condition for each file. */
  conditions?: EnvironmentCondition[];
}

/** Inventory of a machine, or in a ServerClass what is demanded of it. */
export interface HardwareInformation {
  /** The mainboard (SMBIOS type 2). */
  baseboard?: {
    /** Manufacturer of the board. */
    manufacturer?: string;
    /** Model of the board. */
    productName?: string;
    /** Serial number of the board. */
    serialNumber?: string;
  };
  /** The baseboard management controller as seen from inside the machine. */
  bmc?: {
    /** IP address the BMC has on its LAN channel. */
    address?: string;
    /** Firmware revision of the BMC. */
    firmwareVersion?: string;
    /** IPMI version it speaks, e.g. 2.0. */
    ipmiVersion?: string;
    /** MAC address of its LAN channel. */
    mac?: string;
    /** IANA enterprise number of its manufacturer. */
    manufacturerId?: number;
    /** Whether the machine has a BMC that answers in-band. */
    present?: boolean;
  };
  /** Processors and their totals. */
  compute?: {
    /** Number of populated sockets. */
    processorCount?: number;
    /** One entry for each populated socket. */
    processors?: Processor[];
    /** Cores of all processors together. */
    totalCoreCount?: number;
    /** Hardware threads of all processors together. */
    totalThreadCount?: number;
  };
  /** System firmware (SMBIOS type 0). */
  firmware?: {
    /** How the machine was started: uefi or bios. */
    bootMode?: string;
    /** Release date as the firmware states it. */
    releaseDate?: string;
    /** Vendor of the firmware. */
    vendor?: string;
    /** Version of the firmware. */
    version?: string;
  };
  /** Memory modules and their total. */
  memory?: {
    /** Number of populated slots. */
    moduleCount?: number;
    /** One entry for each populated slot. */
    modules?: MemoryModule[];
    /** All modules together as text in whole GB, e.g. "64 GB". */
    totalSize?: string;
  };
  /** Network interfaces that have a MAC address. */
  network?: {
    /** Number of interfaces. */
    interfaceCount?: number;
    /** One entry for each interface. */
    interfaces?: NetworkInterface[];
  };
  /** Block devices and their total. */
  storage?: {
    /** Number of devices. */
    deviceCount?: number;
    /** One entry for each device. */
    devices?: StorageDevice[];
    /** All devices together as text in whole GB, e.g. "480 GB". */
    totalSize?: string;
  };
  /** The machine itself (SMBIOS type 1). */
  system?: {
    /** Product family. */
    family?: string;
    /** Manufacturer of the machine. */
    manufacturer?: string;
    /** Model of the machine. */
    productName?: string;
    /** Serial number of the machine. */
    serialNumber?: string;
    /** Stock keeping unit number. */
    skuNumber?: string;
    /** System UUID; also the name of the Server. */
    uuid?: string;
    /** Model version. */
    version?: string;
  };
}

/** Kubernetes' label selector; all of its terms must hold. */
export interface LabelSelector {
  /** Terms on single label keys; all of them must hold. */
  matchExpressions?: {
    /** Label key the term is about. */
    key: string;
    /** How key and values relate: In, NotIn, Exists or DoesNotExist. */
    operator: string;
    /** Values to compare with: at least one for In and NotIn, none for Exists and DoesNotExist. */
    values?: string[];
  }[];
  /** Labels that must be present with exactly these values. */
  matchLabels?: Record<string, string>;
}

/** A memory module (SMBIOS type 17). */
export interface MemoryModule {
  /** Manufacturer of the module. */
  manufacturer?: string;
  /** Part number of the module. */
  productName?: string;
  /** Serial number of the module. */
  serialNumber?: string;
  /** Size in MB. */
  size?: number;
  /** Speed in MT/s. */
  speed?: number;
  /** Memory technology, e.g. DDR4. */
  type?: string;
}

/** A network interface. */
export interface NetworkInterface {
  /** IP addresses with prefix length. */
  addresses?: string[];
  /** Whether the link was up when the machine was inventoried. */
  carrier?: boolean;
  /** Kernel driver of the interface. */
  driver?: string;
  /** State flags separated by a vertical bar, e.g. up|broadcast. */
  flags?: string;
  /** Interface index in the kernel. */
  index?: number;
  /** MAC address, lower case with colons. */
  mac?: string;
  /** Maximum transmission unit in bytes. */
  mtu?: number;
  /** Interface name in the kernel. */
  name?: string;
  /** Link speed in Mbit/s. */
  speedMbps?: number;
}

/** An address of the machine. */
export interface NodeAddress {
  /** The address. */
  address: string;
  /** Kind of address, e.g. InternalIP. */
  type: string;
}

/** A reference to another object. */
export interface ObjectReference {
  /** API version of the referent. */
  apiVersion?: string;
  /** Part of the referent that is meant; unused here. */
  fieldPath?: string;
  /** Kind of the referent. */
  kind?: string;
  /** Name of the referent. */
  name?: string;
  /** Namespace of the referent, if its kind is namespaced. */
  namespace?: string;
  /** Version of the referent when the reference was made. */
  resourceVersion?: string;
  /** UID of the referent. */
  uid?: string;
}

/** The last thing that was done to the power of the machine; written before it is done. */
export interface PowerActionRecord {
  /** One of on, off, cycle, soft, network-boot, read, rotate. */
  action?: string;
  /** How many times in a row, counted from 1. */
  attempt?: number;
  /** Power driver that was told. */
  driver?: string;
  /** Why it failed or was refused; absent while it goes on and when it was done. */
  problem?: string;
  /** What it is for, e.g. wipe, allocation, clean, wanted, request. */
  purpose?: string;
  /** The annotation metal.sidero.dev/request that this answers. */
  request?: string;
  /** When it was begun. */
  since?: string;
  /** One of begun, waiting, done, failed. */
  state?: string;
  /** Until when its effect is waited for. */
  until?: string;
}

/** A processor (SMBIOS type 4). */
export interface Processor {
  /** Number of cores. */
  coreCount?: number;
  /** Manufacturer of the processor. */
  manufacturer?: string;
  /** Model of the processor. */
  productName?: string;
  /** Serial number of the processor. */
  serialNumber?: string;
  /** Current speed in MHz. */
  speed?: number;
  /** Number of hardware threads. */
  threadCount?: number;
}

/** Demands on the machine itself. Without any, all machines qualify. */
export interface Qualifiers {
  /** Inventories to compare with; a machine must match one of them. Only the fields that are set are compared, lists by position. */
  hardware?: HardwareInformation[];
  /** Labels to look for; a machine qualifies when it has any one of all the pairs listed. */
  labelSelectors?: Record<string, string>[];
}

/** A key of a Secret. */
export interface SecretKeyRef {
  /** Key inside the Secret. */
  key: string;
  /** Name of the Secret. */
  name: string;
  /** Namespace of the Secret. */
  namespace: string;
}

/** A physical machine that Sidero manages. */
export interface Server extends KubeObject {
  apiVersion: 'metal.sidero.dev/v1alpha2';
  kind: 'Server';
  metadata: ObjectMeta;
  /** What shall be done with the machine. */
  spec?: ServerSpec;
  /** What is known of the machine; written by Sidero only. */
  status?: ServerStatus;
}

/** The allocation of the Server of the same name; as long as it exists, the Server is in use. */
export interface ServerBinding extends KubeObject {
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3';
  kind: 'ServerBinding';
  metadata: ObjectMeta;
  /** Who has the machine, and what the machine said of itself since. */
  spec?: ServerBindingSpec;
  /** State of the allocation. */
  status?: ServerBindingStatus;
}

/** Who has the machine, and what the machine said of itself since. */
export interface ServerBindingSpec {
  /** Addresses Talos reported, without those of the SideroLink tunnel. */
  addresses?: string[];
  /** Host name Talos reported. */
  hostname?: string;
  /** MetalMachine the Server is allocated to. */
  metalMachineRef: ObjectReference;
  /** ServerClass it was allocated through; absent when the MetalMachine named the Server itself. */
  serverClassRef?: ObjectReference;
  /** The SideroLink tunnel to the machine. */
  siderolink?: {
    /** Address of the machine inside the tunnel, with prefix length. */
    address: string;
    /** WireGuard public key of the machine, base64. */
    publicKey: string;
  };
}

/** State of the allocation. */
export interface ServerBindingStatus {
  /** Progress of Talos on the machine: TalosConfigLoaded, TalosConfigValidated, TalosInstalled. */
  conditions?: Condition[];
  /** Whether the Server of that name exists. */
  ready?: boolean;
  /** The last event of Talos that changed anything here; what Talos tells again later counts for nothing. */
  talosEvent?: {
    /** The key that the machine joined SideroLink with at that boot. */
    boot?: string;
    /** Id that Talos gave the event. */
    id?: string;
  };
}

/** A class of Servers, from which machines are allocated. */
export interface ServerClass extends KubeObject {
  apiVersion: 'metal.sidero.dev/v1alpha2';
  kind: 'ServerClass';
  metadata: ObjectMeta;
  /** Which machines the class holds, and what they get. */
  spec?: ServerClassSpec;
  /** Which machines the class holds now. */
  status?: ServerClassStatus;
}

/** Which machines the class holds, and what they get. */
export interface ServerClassSpec {
  /** How a machine that shall boot from its disk is made to: ipxe-exit, http-404 or ipxe-sanboot. Wins over the setting of the manager, gives way to that of the Server. */
  bootFromDiskMethod?: string;
  /** JSON patches of the Talos machine configuration, applied before those of the Server. */
  configPatches?: ConfigPatch[];
  /** Environment for machines allocated through this class; only the name counts. Gives way to that of the Server. */
  environmentRef?: ObjectReference;
  /** Demands on the machine itself. Without any, all machines qualify. */
  qualifiers?: Qualifiers;
  /** Labels the Server must have. Empty: any. */
  selector?: LabelSelector;
  /** Talos strategic merge patches, one YAML document each, applied after configPatches and before the patches of the Server. */
  strategicPatches?: string[];
}

/** Which machines the class holds now. */
export interface ServerClassStatus {
  /** Matching Servers that are accepted, not cordoned and not in use; sorted. */
  serversAvailable: string[];
  /** Matching Servers that are accepted, not cordoned and in use; sorted. */
  serversInUse: string[];
}

/** What shall be done with the machine. */
export interface ServerSpec {
  /** Whether Sidero may act on the machine: wipe it, power it, allocate it. Machines that merely announced themselves are not accepted. */
  accepted: boolean;
  /** Access to the baseboard management controller (IPMI over LAN). */
  bmc?: Bmc;
  /** How a machine that shall boot from its disk is made to: ipxe-exit, http-404 or ipxe-sanboot. Empty: as the ServerClass says, else as the manager is set. */
  bootFromDiskMethod?: string;
  /** JSON patches of the Talos machine configuration, applied after those of the ServerClass. */
  configPatches?: ConfigPatch[];
  /** Keeps the machine out of every ServerClass, so that it is not allocated anew. */
  cordoned?: boolean;
  /** Environment the machine network-boots when allocated; only the name counts. Empty: that of the ServerClass, else the Environment default. */
  environmentRef?: ObjectReference;
  /** Inventory the machine reported; ServerClasses select on it. */
  hardware?: HardwareInformation;
  /** Host name the machine had when it registered. */
  hostname?: string;
  /** Power control over plain HTTP, as test rigs offer it. Unused when bmc is set. */
  managementApi?: {
    /** host:port of the power API. */
    endpoint: string;
  };
  /** Network-boot into the Environment even when Talos is installed on disk. */
  pxeBootAlways?: boolean;
  /** Firmware mode for network boots that are ordered through the BMC: uefi or bios. Empty: as the manager is set. */
  pxeMode?: string;
  /** Talos strategic merge patches, one YAML document each, applied after configPatches. */
  strategicPatches?: string[];
}

/** What is known of the machine; written by Sidero only. */
export interface ServerStatus {
  /** Addresses the machine reported. */
  addresses?: NodeAddress[];
  /** The last network boot that was handed a token; lets any replica judge calls from that boot. */
  boot?: BootRecord;
  /** Observations about the machine: PowerCycle, PXEBooted. */
  conditions?: Condition[];
  /** Whether a ServerBinding of the same name exists. */
  inUse?: boolean;
  /** Whether the disks were wiped since the machine was last in use. */
  isClean?: boolean;
  /** Power state at the last look: on, off or unknown. */
  power?: string;
  /** The last thing that was done to the power of the machine; written before it is done. */
  powerAction?: PowerActionRecord;
  /** Whether the machine is where it should be: clean, idle and off, or in use and on. */
  ready?: boolean;
  /** Where the server is in its life, in words. */
  step?: ServerStep;
  /** The last wipe, disk by disk. */
  wipe?: WipeRecord;
}

/** Where the server is in its life, in words. */
export interface ServerStep {
  /** The last thing that was seen of the machine, and when. */
  evidence?: string;
  /** One CamelCase word, e.g. AwaitingAcceptance, Wiping, Clean, InUse, Held. */
  name?: string;
  /** What comes next, or what a person has to do. */
  next?: string;
  /** Why the server is there. */
  reason?: string;
  /** Since when. */
  since?: string;
  /** Until when, where there is a deadline. */
  until?: string;
}

/** A block device. */
export interface StorageDevice {
  /** Device path, e.g. /dev/sda. */
  deviceName?: string;
  /** Name the device gives itself. */
  name?: string;
  /** Model of the device. */
  productName?: string;
  /** Serial number of the device. */
  serialNumber?: string;
  /** Size in bytes. */
  size?: number;
  /** Kind of device: SSD, HDD, NVMe, SD or Unknown. */
  type?: string;
  /** UUID of the device. */
  uuid?: string;
  /** World-wide identifier of the device. */
  wwid?: string;
}

/** The last wipe, disk by disk. */
export interface WipeRecord {
  /** How many times in a row it was handed out, counted from 1; begins anew after a success or a request. */
  attempt?: number;
  /** One entry a disk. */
  disks?: DiskRecord[];
  /** When it was done, failed or stopped. */
  endedAt?: string;
  /** When the plan was handed to the machine. */
  handedAt?: string;
  /** What went wrong, or why it was stopped. */
  message?: string;
  /** Method for disks without a rule of their own. */
  method?: string;
  /** When bytes last moved. */
  progressedAt?: string;
  /** When the machine last told of it. */
  seenAt?: string;
  /** One of planned, handed, running, done, failed, refused, stalled. */
  state?: string;
}
