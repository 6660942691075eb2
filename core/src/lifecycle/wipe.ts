import { failure, messageOf } from '../errors.ts';
import type { Hold, WipePlan } from '../hooks.ts';
import { markFalse, markTrue } from '../resources/conditions.ts';
import { type Server, ServerBindingKind, ServerKind } from '../resources/kinds.ts';
import type { StageContext } from './context.ts';
import type { BootPass } from './index.ts';

const COMPONENT = 'sidero-server';

/** What may be wiped on a Server now. Every doubt is a hold. */
export async function wipe({ hooks, resources }: StageContext, server: Server): Promise<WipePlan | Hold> {
  const name = server.metadata.name;
  // Live: a binding made a moment ago must be seen.
  const [current, binding] = await Promise.all([
    resources.get(ServerKind, { name }, { live: true }),
    resources.get(ServerBindingKind, { name }, { live: true }),
  ]);
  if (!current) return { hold: 'the Server is gone' };
  if (!current.spec?.accepted) return { hold: 'the Server is not accepted' };
  if (binding)
    return { hold: `the Server is allocated to MetalMachine ${binding.spec?.metalMachineRef?.namespace}/${binding.spec?.metalMachineRef?.name}` };
  if (current.status?.isClean) return { hold: 'the Server is clean' };
  if (current.spec.cordoned) return { hold: 'the Server is cordoned' };
  if (current.metadata.deletionTimestamp) return { hold: 'the Server is being deleted' };
  try {
    return await hooks.wipe.promise({ method: 'insecure', disks: [] }, current);
  } catch (thrown) {
    return { hold: messageOf(thrown) };
  }
}

/** Writes down that this boot was handed a wipe. */
export async function wipeHanded({ resources, now }: StageContext, pass: BootPass): Promise<void> {
  await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    const at = now().toISOString();
    draft.status = { ...draft.status, boot: { ...(draft.status?.boot ?? { id: pass.bootId, handedAt: at }), wipeHandedAt: at } };
  });
}

/** Marks a Server clean, when the very boot that was handed the wipe says so and nobody claimed the Server since. */
export async function wiped({ resources, stream, now }: StageContext, pass: BootPass): Promise<void> {
  if (await resources.get(ServerBindingKind, { name: pass.uuid }, { live: true })) {
    throw failure('SIDERO_WIPE_NOT_HANDED', { uuid: pass.uuid, why: 'it is allocated' });
  }
  const server = await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    const boot = draft.status?.boot;
    if (!boot?.wipeHandedAt || boot.id !== pass.bootId)
      throw failure('SIDERO_WIPE_NOT_HANDED', { uuid: pass.uuid, why: 'this boot was not handed a wipe' });
    if (!draft.spec?.accepted) throw failure('SIDERO_WIPE_NOT_HANDED', { uuid: pass.uuid, why: 'it is not accepted' });
    draft.status = { ...draft.status, isClean: true, conditions: markTrue(draft.status?.conditions ?? [], 'PowerCycle', now()) };
  });
  await resources.record(server, { type: 'Normal', reason: 'Server Wipe', message: 'Server wiped via agent.', component: COMPONENT });
  stream({ type: 'wiped', uuid: pass.uuid, detail: '', at: now() });
}

/** The machine is alive and wiping: its `PowerCycle` condition gets a new transition time, so nobody power-cycles it. */
export async function wiping({ resources, now }: StageContext, pass: BootPass): Promise<void> {
  await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    const boot = draft.status?.boot;
    // A late heartbeat must not take back that the wipe is done.
    if (!boot?.wipeHandedAt || boot.id !== pass.bootId || draft.status?.isClean) return false;
    const others = (draft.status?.conditions ?? []).filter(({ type }) => type !== 'PowerCycle');
    const conditions = markFalse(others, { type: 'PowerCycle', reason: 'InProgress', severity: 'Info', message: 'Server wipe in progress.' }, now());
    draft.status = { ...draft.status, conditions };
  });
}
