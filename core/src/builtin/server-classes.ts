import * as z from 'zod';
import {
  definePlugin,
  hasCode,
  matchServerClass,
  type ResourceClient,
  type Server,
  type ServerClass,
  ServerClassKind,
  ServerKind,
  type Sidero,
} from '../index.ts';

/** The class that holds every Server which is accepted and not cordoned; made anew when it is missing. */
const ANY = 'any';

/** Changes of Servers within this time are one pass over the classes. */
const PASS_INTERVAL_MS = 250;

/** Keeps the status of every ServerClass, and the class `any`. */
export const serverClasses = definePlugin({
  name: 'server-classes',
  options: z.strictObject({}),
  setup({ controllers, resources, log }) {
    let nextPassAt = 0;
    controllers.add<ServerClass>({
      name: 'server-classes',
      kind: ServerClassKind,
      // A change of a Server may concern each class: all are looked at when `any` is due, so that many changes are one pass.
      also: [{ kind: ServerKind, refs: () => [{ name: ANY }] }],
      always: [{ name: ANY }],
      async reconcile({ name }) {
        if (name !== ANY) return reconcileClass({ resources, log }, name);
        const waitMs = nextPassAt - performance.now();
        if (waitMs > 0) return { requeueAfterMs: waitMs };
        nextPassAt = performance.now() + PASS_INTERVAL_MS;
        await ensureAny(resources);
        return reconcileAll(resources);
      },
    });
  },
});

/** Names of the Servers a class holds, both lists sorted. @throws SIDERO_SERVER_CLASS_INVALID */
export function serversOf(serverClass: ServerClass, servers: readonly Server[]): { serversAvailable: string[]; serversInUse: string[] } {
  const matching = servers.filter(matchServerClass(serverClass));
  const names = (inUse: boolean) =>
    matching
      .filter(({ status }) => (status?.inUse ?? false) === inUse)
      .map(({ metadata }) => metadata.name)
      .toSorted();
  return { serversAvailable: names(false), serversInUse: names(true) };
}

async function reconcileClass({ resources, log }: Pick<Sidero, 'log' | 'resources'>, name: string): Promise<undefined> {
  const serverClass = await resources.get(ServerClassKind, { name });
  if (!serverClass) return;
  try {
    await writeStatus(resources, serverClass, await resources.list(ServerKind));
  } catch (thrown) {
    // Told once, not tried again: only a change of the class can heal it, and that makes it due.
    if (!hasCode(thrown, 'SIDERO_SERVER_CLASS_INVALID')) throw thrown;
    log.warn({ serverClass: name, code: thrown.code, next: thrown.next }, thrown.message);
    await resources.record(serverClass, { type: 'Warning', reason: 'Invalid ServerClass', message: `${thrown.message} Next: ${thrown.next}` });
  }
}

async function reconcileAll(resources: ResourceClient): Promise<undefined> {
  const [classes, servers] = await Promise.all([resources.list(ServerClassKind), resources.list(ServerKind)]);
  const results = await Promise.allSettled(classes.map((serverClass) => writeStatus(resources, serverClass, servers)));
  // An invalid class is told of when it is looked at for itself; it must not hold up the others.
  const failed = results.find((result) => result.status === 'rejected' && !hasCode(result.reason, 'SIDERO_SERVER_CLASS_INVALID'));
  if (failed?.status === 'rejected') throw failed.reason;
}

async function writeStatus(resources: ResourceClient, serverClass: ServerClass, servers: readonly Server[]): Promise<void> {
  const wanted = serversOf(serverClass, servers);
  const { serversAvailable, serversInUse } = serverClass.status ?? {};
  // Compared with the cache first: `change` reads live, which is too much for each class at each change of a Server.
  if (isSame(serversAvailable, wanted.serversAvailable) && isSame(serversInUse, wanted.serversInUse)) return;
  await resources
    .change(ServerClassKind, { name: serverClass.metadata.name }, (draft) => {
      draft.status = wanted;
    })
    .catch((thrown: unknown) => {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_MISSING')) throw thrown;
    });
}

async function ensureAny(resources: ResourceClient): Promise<void> {
  const known = await resources.get(ServerClassKind, { name: ANY });
  if (!known) {
    await resources
      .create(ServerClassKind, { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'ServerClass', metadata: { name: ANY }, spec: {} })
      .catch((thrown: unknown) => {
        if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) throw thrown;
      });
  } else if (Object.keys(known.spec?.qualifiers ?? {}).length > 0) {
    await resources.change(ServerClassKind, { name: ANY }, (draft) => {
      delete draft.spec?.qualifiers;
    });
  }
}

function isSame(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a?.length === b.length && a.every((name, index) => name === b[index]);
}
