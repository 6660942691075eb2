import type { OldVersion } from '@sidero/core';
import type {
  MetalClusterSpec,
  MetalClusterStatus,
  MetalMachineSpec,
  MetalMachineStatus,
  MetalMachineTemplate,
  MetalMachineTemplateSpec,
} from './types.gen.ts';

// v1alpha2 of infrastructure.cluster.x-k8s.io has lists of endpoints, in spec and status, and machines without classes, addresses and
// conditions. It demands `status.ready`, so that it shows as false there where the hub has none.

type Endpoint = NonNullable<MetalClusterSpec['controlPlaneEndpoint']>;
type Of<Spec, Status> = { readonly spec?: Spec | undefined; readonly status?: Status | undefined };

interface OldClusterSpec {
  apiEndpoints?: Endpoint[];
}

type OldClusterStatus = Partial<MetalClusterStatus> & { apiEndpoints?: Endpoint[] };

type OldMachineSpec = Omit<MetalMachineSpec, 'serverClassRef'>;

interface OldMachineStatus extends Pick<MetalMachineStatus, 'failureDomain' | 'initialization' | 'v1beta2'> {
  ready?: boolean;
  errorReason?: string;
  errorMessage?: string;
}

interface OldTemplateSpec {
  template: { spec: OldMachineSpec };
}

type HubCluster = Of<MetalClusterSpec, Partial<MetalClusterStatus>>;
type OldCluster = Of<OldClusterSpec, OldClusterStatus>;
type HubMachine = Of<MetalMachineSpec, MetalMachineStatus>;
type HubTemplate = Of<MetalMachineTemplateSpec, MetalMachineTemplate['status']>;

/** MetalCluster: the endpoint shows as the only one, in spec and status. Of several the first counts, those of the spec before those of the status. */
export const metalClusterV1alpha2: OldVersion<HubCluster, OldCluster> = { down: oldCluster, up: hubCluster };

/** MetalMachine: `serverClassRef`, addresses and conditions exist only in the hub; failures are called errors. */
export const metalMachineV1alpha2: OldVersion<HubMachine, Of<OldMachineSpec, OldMachineStatus>> = {
  down: ({ spec, status }) => ({ spec: spec && oldMachineSpec(spec), status: status && oldMachineStatus(status) }),
  up: ({ spec, status }, restored) => ({
    spec: spec && hubMachineSpec(spec, restored?.spec),
    status: status && hubMachineStatus(status, restored),
  }),
};

/** MetalMachineTemplate: as the spec of a MetalMachine. */
export const metalMachineTemplateV1alpha2: OldVersion<HubTemplate, Of<OldTemplateSpec, HubTemplate['status']>> = {
  down: ({ spec, status }) => ({ spec: spec && inTemplate(spec, oldMachineSpec), status }),
  up: ({ spec, status }, restored) => ({
    spec: spec && inTemplate(spec, (machine) => hubMachineSpec(machine, restored?.spec?.template?.spec)),
    status,
  }),
};

function oldCluster({ spec, status }: HubCluster): OldCluster {
  const { controlPlaneEndpoint, ...shared } = spec ?? {};
  const shown = isKnown(controlPlaneEndpoint) ? { apiEndpoints: [controlPlaneEndpoint] } : {};
  return {
    spec: spec && { ...shared, ...shown },
    status: status || isKnown(controlPlaneEndpoint) ? { ...status, ready: status?.ready ?? false, ...shown } : undefined,
  };
}

function hubCluster({ spec, status }: OldCluster, restored: HubCluster | undefined): HubCluster {
  const { apiEndpoints, ...shared } = spec ?? {};
  const { apiEndpoints: _, ...observed } = status ?? {};
  const was = restored?.spec?.controlPlaneEndpoint;
  // An endpoint that is not known does not show, so its absence says nothing.
  const controlPlaneEndpoint = apiEndpoints?.[0] ?? status?.apiEndpoints?.[0] ?? (spec && !isKnown(was) ? was : undefined);
  const ready = readiness(status, restored);
  const wasMadeUp = ready === undefined && restored !== undefined && !restored.status;
  return {
    spec: spec || controlPlaneEndpoint ? { ...shared, ...defined({ controlPlaneEndpoint }) } : undefined,
    status: status && !wasMadeUp ? defined({ ...observed, ready }) : undefined,
  };
}

function isKnown(endpoint: Endpoint | undefined): endpoint is Endpoint {
  return Boolean(endpoint?.host || endpoint?.port);
}

function oldMachineSpec(spec: MetalMachineSpec): OldMachineSpec {
  const { serverClassRef: _, ...shared } = spec;
  return shared;
}

function hubMachineSpec(old: OldMachineSpec, restored: MetalMachineSpec | undefined): MetalMachineSpec {
  return { ...old, ...defined({ serverClassRef: restored?.serverClassRef }) };
}

function oldMachineStatus(status: MetalMachineStatus): OldMachineStatus {
  const { ready, failureReason, failureMessage, failureDomain, initialization, v1beta2 } = status;
  return {
    ...defined({ failureDomain, initialization, v1beta2 }),
    ready: ready ?? false,
    ...defined({ errorReason: failureReason, errorMessage: failureMessage }),
  };
}

function hubMachineStatus(old: OldMachineStatus, restored: HubMachine | undefined): MetalMachineStatus {
  const ready = readiness(old, restored);
  const { addresses, conditions } = restored?.status ?? {};
  const { errorReason: failureReason, errorMessage: failureMessage, ...shared } = old;
  return defined({ ...shared, ready, failureReason, failureMessage, addresses, conditions });
}

/** What the hub has as `ready`: none where it had none and the old version, which must have one, says false. */
function readiness(
  old: { readonly ready?: boolean } | undefined,
  restored: { readonly status?: { readonly ready?: boolean } | undefined } | undefined,
): boolean | undefined {
  const hadNone = restored !== undefined && (restored.status?.ready ?? undefined) === undefined;
  return hadNone && !old?.ready ? undefined : old?.ready;
}

/** The template with another spec of its machine. */
function inTemplate<From, To>(outer: { template: { spec: From } }, change: (machine: From) => To): { template: { spec: To } } {
  const { template } = outer as { template?: { spec?: From } | null };
  if (!template?.spec) return outer as never;
  return { ...outer, template: { ...template, spec: change(template.spec) } };
}

/** The members that are there: absent and null are one. */
function defined<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
