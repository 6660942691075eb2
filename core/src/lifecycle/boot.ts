import { messageOf } from '../errors.ts';
import type { BootFacts, BootPlan, BootRequest } from '../hooks.ts';
import { EnvironmentKind, ServerBindingKind, ServerClassKind, ServerKind } from '../resources/kinds.ts';
import { agentEnvironment, checked, chooseTarget, neededServerClass, planAgent, planEnvironment } from './boot-choice.ts';
import { createTokenDesk } from './boot-token.ts';
import { createWaitTeller } from './boot-waits.ts';
import type { StageContext } from './context.ts';

/**
 * What a machine boots: agent, Environment or disk; then the taps; then, for the agent, the token.
 * A tap that fails, or an API that is away, makes the machine ask again: it never boots on half a decision.
 */
export function createBootStage(context: StageContext): (request: BootRequest) => Promise<BootPlan> {
  const { hooks, log, site } = context;
  const handOut = createTokenDesk(context);
  const tellOfWait = createWaitTeller(context);
  const decide = async (request: BootRequest): Promise<Decided> => {
    const facts = await factsOf(context, request.uuid);
    const wanted = await planOf(context, facts, request);
    const plan = checked(await hooks.boot.promise(wanted, request));
    if (plan.target === 'environment' && !request.peek) await soil(context, request.uuid);
    return { facts, plan: plan.target === 'agent' && !request.peek ? await handOut(plan, request, facts.server) : plan };
  };
  return async (request) => {
    try {
      const { plan, facts } = await decide(request);
      if (request.peek) return plan;
      // A machine that waits asks every few seconds.
      const isNews = plan.target !== 'wait' || tellOfWait(plan, { request, facts });
      const { uuid, mac, address } = request;
      log[isNews ? 'info' : 'debug']({ server: uuid, mac, address, target: plan.target, reason: plan.reason }, 'boot decided');
      return plan;
    } catch (thrown) {
      log.error({ server: request.uuid, address: request.address, err: thrown }, 'boot could not be decided');
      return { target: 'wait', status: 503, reason: messageOf(thrown) };
    }
  };

  async function planOf(stage: StageContext, facts: BootFacts, request: BootRequest): Promise<BootPlan> {
    const target = chooseTarget(facts, site);
    if (target.target === 'agent') {
      const copy = await stage.agentCopy(agentEnvironment(request.arch));
      return copy.ready ? planAgent({ ...request, reason: target.reason }, site) : { target: 'wait', status: 503, reason: copy.reason };
    }
    if (target.target !== 'environment') return target;
    const environment = await stage.resources.get(EnvironmentKind, { name: target.name });
    return planEnvironment(target, environment, environment ? await stage.localCopy(environment) : { ready: true });
  }
}

interface Decided {
  readonly plan: BootPlan;
  readonly facts: BootFacts;
}

/**
 * From now on somebody writes to its disks. The loop over servers, which may be late or have ended, also says so; but should the ServerBinding get
 * lost before that, nothing else would, and the next machine would get them as clean.
 */
async function soil({ resources }: StageContext, uuid: string): Promise<void> {
  await resources.change(ServerKind, { name: uuid }, (draft) => {
    if (draft.status?.isClean !== true) return false;
    draft.status = { ...draft.status, isClean: false };
    return undefined;
  });
}

async function factsOf({ resources }: StageContext, uuid: string): Promise<BootFacts> {
  if (uuid === '') return { server: undefined, binding: undefined, serverClass: undefined };
  const [server, binding] = await Promise.all([resources.get(ServerKind, { name: uuid }), resources.get(ServerBindingKind, { name: uuid })]);
  const name = neededServerClass({ server, binding });
  const serverClass = name === undefined ? undefined : await resources.get(ServerClassKind, { name });
  return { server, binding, serverClass };
}
