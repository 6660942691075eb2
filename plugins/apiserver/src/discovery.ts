import type { Answer, Exchange } from './exchange.ts';
import type { JsonObject } from './object.ts';
import type { ReviewType } from './registry/built-in.ts';
import type { TypeRegistry } from './registry/registry.ts';
import { apiVersionOf, type ResourceType, type ResourceVersion } from './registry/resource-type.ts';
import type { Backend } from './resource-handler.ts';
import { unknownPath } from './status.ts';

/** The Kubernetes version whose behaviour this API follows. */
const VERSION = { major: '1', minor: '35', gitVersion: 'v1.35.4+sidero' };

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const STATUS_VERBS = ['get', 'patch', 'update'];

/** Answers the paths that tell what there is: `/version`, `/api`, `/apis`, the groups, the versions, health. */
export function handleDiscovery({ types, reviews }: Backend, { path, request }: Exchange): Answer | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
  const parts = path.split('/').filter((part) => part !== '');
  const isAggregated = aggregatedVersion(request.headers.accept);
  const [first, group, version, ...more] = parts;
  if (parts.length === 1 && ['healthz', 'livez', 'readyz'].includes(first!))
    return { code: 200, body: { text: 'ok', contentType: 'text/plain; charset=utf-8' } };
  if (path === '/version') return { code: 200, body: versionInfo() };
  if (parts.length === 0)
    return { code: 200, body: { paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/openapi/v3', '/readyz', '/version'] } };
  const catalogue = groupsOf(types, reviews);
  if (path === '/api')
    return isAggregated
      ? aggregated(
          catalogue.filter(({ name }) => name === ''),
          isAggregated,
        )
      : { code: 200, body: { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] } };
  if (path === '/apis')
    return isAggregated
      ? aggregated(
          catalogue.filter(({ name }) => name !== ''),
          isAggregated,
        )
      : { code: 200, body: groupList(catalogue) };
  if (first === 'api' && parts.length === 2) return resourceList(catalogue, '', group!);
  if (first !== 'apis' || more.length > 0) return undefined;
  if (version !== undefined) return resourceList(catalogue, group!, version);
  const found = catalogue.find(({ name }) => name === group);
  if (!found) throw unknownPath();
  return { code: 200, body: { kind: 'APIGroup', apiVersion: 'v1', ...groupBody(found) } };
}

function versionInfo(): JsonObject {
  return {
    ...VERSION,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: `node ${process.version}`,
    platform: `${process.platform}/${process.arch}`,
  };
}

interface Group {
  readonly name: string;
  /** The preferred one first. */
  readonly versions: readonly { readonly name: string; readonly resources: readonly JsonObject[] }[];
}

/** Everything that is served, by group and version, as entries of the legacy resource lists. */
function groupsOf(types: TypeRegistry, reviews: readonly ReviewType[]): Group[] {
  const groups = new Map<string, Map<string, JsonObject[]>>();
  const add = (group: string, version: string, entries: readonly JsonObject[]) => {
    const versions = groups.get(group) ?? new Map<string, JsonObject[]>();
    groups.set(group, versions.set(version, [...(versions.get(version) ?? []), ...entries]));
  };
  for (const type of types.list()) for (const version of type.versions) add(type.group, version.name, entriesOf(type, version));
  for (const review of reviews) add(review.group, 'v1', [reviewEntry(review)]);
  return [...groups].map(([name, versions]) => ({ name, versions: [...versions].map(([version, resources]) => ({ name: version, resources })) }));
}

function entriesOf(type: ResourceType, version: ResourceVersion): JsonObject[] {
  const { plural, singular, namespaced, kind, shortNames, categories } = type;
  const entry: JsonObject = { name: plural, singularName: singular, namespaced, kind, verbs: VERBS };
  if (shortNames.length > 0) entry['shortNames'] = shortNames;
  if (categories.length > 0) entry['categories'] = categories;
  if (!version.hasStatus) return [entry];
  return [entry, { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: STATUS_VERBS }];
}

function reviewEntry({ plural, singular, namespaced, kind }: ReviewType): JsonObject {
  return { name: plural, singularName: singular, namespaced, kind, verbs: ['create'] };
}

function groupBody({ name, versions }: Group): JsonObject {
  const listed = versions.map((version) => ({ groupVersion: apiVersionOf(name, version.name), version: version.name }));
  return { name, versions: listed, preferredVersion: listed[0] };
}

function groupList(groups: readonly Group[]): JsonObject {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.filter(({ name }) => name !== '').map(groupBody) };
}

function resourceList(groups: readonly Group[], group: string, version: string): Answer {
  const found = groups.find(({ name }) => name === group)?.versions.find(({ name }) => name === version);
  if (!found) throw unknownPath();
  return { code: 200, body: { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(group, version), resources: found.resources } };
}

// The version of aggregated discovery a client takes, in its order of preference.
function aggregatedVersion(accept: string | undefined): string | undefined {
  const [, version] = /g=apidiscovery\.k8s\.io;v=(v2|v2beta1);as=APIGroupDiscoveryList/.exec(accept ?? '') ?? [];
  return version;
}

function aggregated(groups: readonly Group[], version: string): Answer {
  const items = groups.map(({ name, versions }) => ({
    metadata: { ...(name ? { name } : {}), creationTimestamp: null },
    versions: versions.map((one) => ({
      version: one.name,
      resources: discoveryResources(one.resources, { group: name, version: one.name }),
      freshness: 'Current',
    })),
  }));
  const text = JSON.stringify({ kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items });
  return { code: 200, body: { text, contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList` } };
}

function discoveryResources(entries: readonly JsonObject[], at: { group: string; version: string }): JsonObject[] {
  const nameOf = (entry: JsonObject) => String(entry['name']);
  return entries
    .filter((entry) => !nameOf(entry).includes('/'))
    .map((entry) => {
      const responseKind = { group: at.group, version: at.version, kind: entry['kind'] };
      const under = entries.filter((one) => nameOf(one).startsWith(`${nameOf(entry)}/`));
      const subresources = under.map((one) => ({ subresource: nameOf(one).split('/')[1], responseKind, verbs: one['verbs'] }));
      return {
        resource: entry['name'],
        responseKind,
        scope: entry['namespaced'] ? 'Namespaced' : 'Cluster',
        singularResource: entry['singularName'],
        verbs: entry['verbs'],
        ...(entry['shortNames'] ? { shortNames: entry['shortNames'] } : {}),
        ...(entry['categories'] ? { categories: entry['categories'] } : {}),
        ...(subresources.length > 0 ? { subresources } : {}),
      };
    });
}
