// Generated from plugins/caps/manifests/crds, do not edit, remake with npm run types.

import type { Condition, KubeObject, ObjectMeta, ObjectReference } from '@sidero/core';

/** An address or a name of the machine. */
export interface MachineAddress {
  /** The address or the name. */
  address: string;
  /** What it is. */
  type: 'Hostname' | 'ExternalIP' | 'InternalIP' | 'ExternalDNS' | 'InternalDNS';
}

/** What a Cluster of Cluster API needs on bare metal; Cluster API makes it belong to its Cluster. */
export interface MetalCluster extends KubeObject {
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3';
  kind: 'MetalCluster';
  metadata: ObjectMeta;
  /** What is asked of the infrastructure. */
  spec?: MetalClusterSpec;
  /** State of the infrastructure; written by Sidero only. */
  status?: MetalClusterStatus;
}

/** What is asked of the infrastructure. */
export interface MetalClusterSpec {
  /** Where the Kubernetes API of the cluster answers. Empty host and port 0: not known yet. */
  controlPlaneEndpoint?: {
    /** Host name or IP address. */
    host: string;
    /** TCP port. */
    port: number;
  };
}

/** State of the infrastructure; written by Sidero only. */
export interface MetalClusterStatus {
  /** Observations about the cluster: Ready, ControlPlaneEndpointSet. */
  conditions?: Condition[];
  /** Values of the label topology.kubernetes.io/zone of the accepted Servers, in the form that the installed Cluster API reads: a list from version 1.11 on, else a map. */
  failureDomains?: unknown;
  /** What Cluster API from version 1.11 on waits for. */
  initialization?: {
    /** Whether machines may be made; the same as ready. */
    provisioned?: boolean;
  };
  /** Whether the owning Cluster was found, and machines may be made. */
  ready: boolean;
  /** The observations in the form of Cluster API from version 1.11 on; earlier versions know to look here too. */
  v1beta2?: V1beta2Status;
}

/** The demand of a Cluster API Machine for a Server. */
export interface MetalMachine extends KubeObject {
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3';
  kind: 'MetalMachine';
  metadata: ObjectMeta;
  /** Which Server is wanted, and which one it became. */
  spec?: MetalMachineSpec;
  /** State of the machine; written by Sidero only. */
  status?: MetalMachineStatus;
}

/** Which Server is wanted, and which one it became. */
export interface MetalMachineSpec {
  /** sidero://<name of the Server>, once a Server is allocated; the Node has the same. */
  providerID?: string;
  /** ServerClass to allocate from; only the name counts. */
  serverClassRef?: ObjectReference;
  /** The Server that is allocated. Set beforehand, it asks for that very machine. */
  serverRef?: ObjectReference;
}

/** State of the machine; written by Sidero only. */
export interface MetalMachineStatus {
  /** Addresses and host name that Talos reported. */
  addresses?: MachineAddress[];
  /** Progress of Talos on the machine, and ProviderSet: whether its Node has the providerID. */
  conditions?: Condition[];
  /** Where the Server is, as its label topology.kubernetes.io/zone says. */
  failureDomain?: string;
  /** Why the machine cannot recover, in a sentence. */
  failureMessage?: string;
  /** The same in one word. */
  failureReason?: string;
  /** What Cluster API from version 1.11 on waits for. */
  initialization?: {
    /** Whether a Server is allocated; the same as ready. */
    provisioned?: boolean;
  };
  /** Whether a Server is allocated. */
  ready?: boolean;
  /** The observations in the form of Cluster API from version 1.11 on; earlier versions know to look here too. */
  v1beta2?: V1beta2Status;
}

/** What MetalMachines are made from. Its spec never changes: make another template instead. */
export interface MetalMachineTemplate extends KubeObject {
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3';
  kind: 'MetalMachineTemplate';
  metadata: ObjectMeta;
  /** What the MetalMachines get. */
  spec?: MetalMachineTemplateSpec;
  /** Always empty. */
  status?: Record<string, never>;
}

/** What the MetalMachines get. */
export interface MetalMachineTemplateSpec {
  /** The MetalMachine to make. */
  template: {
    /** Spec of each MetalMachine. */
    spec: MetalMachineSpec;
  };
}

/** An observation about this object, in the form Kubernetes uses. */
export interface V1beta2Condition {
  /** When the status of the condition last changed. */
  lastTransitionTime: string;
  /** The reason in a sentence, for people. */
  message: string;
  /** The reason in one CamelCase word, for programs. */
  reason: string;
  /** True, False or Unknown. */
  status: string;
  /** What the condition is about; at most one condition of each type. */
  type: string;
}

/** The observations in the form of Cluster API from version 1.11 on; earlier versions know to look here too. */
export interface V1beta2Status {
  /** The conditions, and Paused. */
  conditions?: V1beta2Condition[];
}
