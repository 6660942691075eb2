import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { KubeConfig } from '@kubernetes/client-node';
import type { CustomResource, Logger } from '@sidero/core';
import { makeServerCertificate } from './certificates.ts';
import { DataDirectory, type Identity, passingIdentity } from './data-directory.ts';
import { Definitions } from './definitions.ts';
import { handleDiscovery } from './discovery.ts';
import type { Handler } from './exchange.ts';
import { type HttpServer, sameToken, serveHttp } from './http.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { GarbageCollector } from './garbage-collector.ts';
import { Objects } from './objects.ts';
import { OpenApi } from './openapi.ts';
import { BUILT_IN_TYPES, reviewTypes } from './registry/built-in.ts';
import { TypeRegistry } from './registry/registry.ts';
import { type Backend, handleResource } from './resource-handler.ts';
import { Store } from './store.ts';
import { WatchHistory } from './watch.ts';

export interface ApiServerOptions {
  /** Where everything is kept; absent: in memory, gone at the end. */
  readonly dataDir?: string;
  /** Kinds to serve beside the built-in ones. */
  readonly customResources: readonly CustomResource[];
  /** IP address to listen on. Default 127.0.0.1. */
  readonly address?: string;
  /** Default: the port of the last run, else 6443, else a free one; always a free one without `dataDir`. */
  readonly port?: number;
  readonly log?: Logger;
  /** Changes kept per resource, from which watches can go on. Default 2000. */
  readonly historySize?: number;
}

/** A running API. */
export interface ApiServer {
  /** Ready for @kubernetes/client-node. */
  readonly kubeConfig: KubeConfig;
  /** The same as text; with `dataDir` it also stands in `<dataDir>/kubeconfig`. */
  readonly kubeconfigYaml: string;
  readonly url: string;
  /** Bearer token that may do everything. */
  readonly token: string;
  readonly caPem: string;
  /** Ends watches, finishes answers, closes the database. */
  close(): Promise<void>;
}

/** Time between looks at the server's certificate, in ms. */
const RENEWAL_INTERVAL_MS = 12 * 60 * 60 * 1000;

const DEFAULT_ADDRESS = '127.0.0.1';
const DEFAULT_PORT = 6443;
const DEFAULT_HISTORY_SIZE = 2000;

/**
 * Starts a Kubernetes-compatible API in this process; resolves when it answers.
 * @throws SIDERO_APISERVER_DATA_IN_USE, SIDERO_APISERVER_DATA_UNREADABLE, SIDERO_APISERVER_DEFINITION_INVALID, SIDERO_APISERVER_LISTEN_FAILED
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const directory = options.dataDir === undefined ? undefined : new DataDirectory(options.dataDir);
  const store = directory ? directory.openStore() : new Store(':memory:');
  try {
    const hosts = hostsOf(options.address ?? DEFAULT_ADDRESS);
    const identity = await (directory ? directory.identity(hosts) : passingIdentity(hosts));
    const backend = await makeBackend(store, options, identity);
    const http = await listen(options, { directory, identity, handlers: handlersOf(backend) });
    backend.collector.start();
    return describe(options, { directory, identity, http, backend });
  } catch (error) {
    await store.close();
    throw error;
  }
}

// Names and addresses clients on this machine and beyond use for us.
function hostsOf(address: string): string[] {
  const isAny = address === '0.0.0.0' || address === '::';
  const local = isAny ? Object.values(networkInterfaces()).flatMap((all) => all?.map((one) => one.address) ?? []) : [address];
  return [...new Set(['127.0.0.1', '::1', 'localhost', ...local])];
}

async function makeBackend(store: Store, options: ApiServerOptions, { token }: Identity): Promise<Backend> {
  const types = new TypeRegistry();
  for (const type of BUILT_IN_TYPES) types.set(type);
  const objects = new Objects(store);
  const definitions = new Definitions({ store, types, provided: options.customResources });
  definitions.start();
  seedNamespaces(objects, types);
  await store.durable();
  const history = new WatchHistory({ size: options.historySize ?? DEFAULT_HISTORY_SIZE, start: store.revision });
  const collector = new GarbageCollector({ store, objects, types, log: options.log });
  store.onCommit((changes) => {
    definitions.changed(changes);
    history.publish(changes);
    collector.changed(changes);
  });
  return {
    collector,
    store,
    history,
    objects,
    types,
    reviews: reviewTypes((given) => sameToken(given, token)),
  };
}

function seedNamespaces(objects: Objects, types: TypeRegistry): void {
  const served = types.find('', 'v1', 'namespaces');
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
    try {
      objects.get(served, { namespace: '', name });
    } catch {
      objects.create(served, {
        namespace: '',
        sent: { metadata: { name } },
        options: { dryRun: false, fieldValidation: 'Ignore', manager: 'sidero' },
      });
    }
  }
}

function handlersOf(backend: Backend): Handler[] {
  const openApi = new OpenApi(backend.types);
  return [
    (exchange) => openApi.handle(exchange),
    (exchange) => handleDiscovery(backend, exchange),
    async (exchange) => (await handleResource(backend, exchange))?.answer,
  ];
}

interface Parts {
  readonly directory: DataDirectory | undefined;
  readonly identity: Identity;
  readonly handlers: readonly Handler[];
}

// A port that was asked for must be free; else the first of the usual ones that is.
async function listen(options: ApiServerOptions, { directory, identity, handlers }: Parts): Promise<HttpServer> {
  const wanted = options.port !== undefined ? [options.port] : directory ? [directory.port, DEFAULT_PORT, 0] : [0];
  const ports = [...new Set(wanted.filter((port) => port !== undefined))];
  for (const [index, port] of ports.entries()) {
    try {
      return await serveHttp(
        {
          address: options.address ?? DEFAULT_ADDRESS,
          port,
          certificate: identity.server,
          isToken: (token) => sameToken(token, identity.token),
          log: options.log,
        },
        handlers,
      );
    } catch (error) {
      if (index === ports.length - 1) throw error;
      options.log?.warn({ port }, 'port is taken, the API looks for another');
    }
  }
  throw new Error('unreachable: the last port either works or throws');
}

interface Running {
  readonly directory: DataDirectory | undefined;
  readonly identity: Identity;
  readonly http: HttpServer;
  readonly backend: Backend;
}

function describe(options: ApiServerOptions, { directory, identity, http, backend }: Running): ApiServer {
  const address = options.address ?? DEFAULT_ADDRESS;
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  const url = `https://${isIP(host) === 6 ? `[${host}]` : host}:${http.port}`;
  const kubeconfigYaml = kubeconfigText({ url, caPem: identity.authority.certPem, token: identity.token });
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(kubeconfigYaml);
  if (directory) {
    directory.port = http.port;
    const file = directory.writeKubeconfig(kubeconfigYaml);
    options.log?.info({ url, kubeconfig: file }, 'API listens');
  }
  const renewal = setInterval(() => void renew(options, { directory, identity, http, backend }), RENEWAL_INTERVAL_MS);
  const close = async () => {
    clearInterval(renewal);
    backend.collector.stop();
    await http.close();
    await backend.store.close();
  };
  return { kubeConfig, kubeconfigYaml, url, token: identity.token, caPem: identity.authority.certPem, close };
}

// A process that runs for a year must not end up with a certificate nobody trusts.
async function renew(options: ApiServerOptions, { directory, identity, http }: Running): Promise<void> {
  const hosts = hostsOf(options.address ?? DEFAULT_ADDRESS);
  try {
    http.renew(directory ? await directory.serverCertificate(identity.authority, hosts) : await makeServerCertificate(identity.authority, hosts));
  } catch (err) {
    options.log?.error({ err }, 'the certificate of the API could not be renewed');
  }
}
