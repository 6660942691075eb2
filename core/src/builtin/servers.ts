import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import {
  definePlugin,
  isTrue,
  markTrue,
  removeCondition,
  SERVER_FINALIZER,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  ServerKind,
} from '../index.ts';

/** Keeps what a Server says of its allocation in step with its ServerBinding. Touches no machine. */
export const servers = definePlugin({
  name: 'servers',
  options: z.strictObject({}),
  setup({ controllers, resources }) {
    controllers.add<Server>({
      name: 'servers',
      kind: ServerKind,
      also: [{ kind: ServerBindingKind, refs: ({ metadata }) => [{ name: metadata.name }] }],
      async reconcile({ name }) {
        const server = await resources.get(ServerKind, { name });
        if (!server) return undefined;
        const cached = await resources.get(ServerBindingKind, { name });
        const wasInUse = server.status?.inUse === true;
        // Letting a server go needs the API's own word that no binding was made a moment ago.
        const isGoing = wasInUse || server.metadata.deletionTimestamp !== undefined;
        const binding = cached ?? (isGoing ? await resources.get(ServerBindingKind, { name }, { live: true }) : undefined);
        const now = new Date();
        // Compared with the cache first: most changes of a Server are none of its books, and `change` reads live.
        const wanted = structuredClone(server);
        keepBooks(wanted, binding, now);
        if (!isDeepStrictEqual(wanted, server)) await resources.change(ServerKind, { name }, (draft) => keepBooks(draft, binding, now));
        if (wasInUse && !binding) {
          await resources.record(server, { type: 'Normal', reason: 'Server Allocation', message: 'Server marked as unallocated.' });
        }
        return undefined;
      },
    });
  },
});

/** Brings finalizer, `inUse`, `isClean` and `PXEBooted` in line with the binding; `ready` and power belong to the power loop. */
export function keepBooks(server: Server, binding: ServerBinding | undefined, now: Date): void {
  const { metadata } = server;
  const others = (metadata.finalizers ?? []).filter((finalizer) => finalizer !== SERVER_FINALIZER);
  const isGoing = metadata.deletionTimestamp !== undefined && !binding;
  metadata.finalizers = isGoing ? others : [...others, SERVER_FINALIZER];

  const conditions = server.status?.conditions ?? [];
  const isInstalled = binding !== undefined && isTrue(binding.status?.conditions, 'TalosInstalled');
  const kept = binding ? (isInstalled ? markTrue(conditions, 'PXEBooted', now) : conditions) : removeCondition(conditions, 'PXEBooted');
  // Disks count as dirty from the moment somebody may write to them.
  const isClean = server.spec?.accepted === true && !binding && server.status?.isClean === true;
  server.status = { ...server.status, inUse: binding !== undefined, isClean, ...(kept.length || conditions.length ? { conditions: kept } : {}) };
  if (binding) delete metadata.ownerReferences;
}
