import {
  EnvironmentKind,
  hasCode,
  type KubeObject,
  messageOf,
  type Route,
  type ServerBinding,
  ServerBindingKind,
  ServerKind,
  type Sidero,
  SideroError,
} from '@sidero/core';
import { MetalMachineKind } from '../kinds.ts';
import { type ConfigVerdict, environmentNameOf, judgeClaim, TAKEN_ANNOTATION, takenBy, TOKEN_ANNOTATION, TOKEN_KEY } from './config-claim.ts';
import type { ConfigDesk } from './config-desk.ts';
import type { ConfigSources, Refusal } from './sources.ts';

type Context = Parameters<Route['handler']>[0];
type Answer = Refusal | { readonly status: 200; readonly text: string };

/** How long a machine is asked to wait when we cannot answer yet; Talos has a back-off of its own. */
const RETRY_SECONDS = 5;
/** Errors that a user has to mend; anything else is ours, or passes. */
const USER_ERRORS = ['SIDERO_MACHINE_CONFIG_INVALID', 'SIDERO_MACHINE_CONFIG_PATCH_FAILED'];

/** `GET /configdata?uuid=`: the Talos configuration of a bound machine. */
export function addConfigRoute(sidero: Sidero, desk: ConfigDesk): void {
  const counted = sidero.metrics.counter('sidero_configdata_total', 'Answers of /configdata, by status and by how the machine proved itself.', [
    'status',
    'proof',
  ]);
  sidero.http.route('GET', '/configdata', async (context) => {
    const query = new URLSearchParams(context.querystring);
    const asked = {
      uuid: query.get('uuid') ?? '',
      token: query.get(TOKEN_KEY) ?? '',
      address: addressOf(context),
      isPeek: context.method === 'HEAD',
    };
    const { answer, proof } = await answerFor(sidero, desk, asked);
    counted({ status: String(answer.status), proof });
    give(context, answer);
  });
}

interface Asked {
  readonly uuid: string;
  readonly token: string;
  readonly address: string;
  readonly isPeek: boolean;
}

async function answerFor(sidero: Sidero, desk: ConfigDesk, asked: Asked): Promise<{ answer: Answer; proof: string }> {
  const { uuid, address, isPeek } = asked;
  if (uuid === '') return { answer: { status: 400, text: 'received metadata request with empty uuid' }, proof: 'none' };
  if (!isPeek) sidero.lifecycle.stream({ type: 'seen', wire: 'http', uuid, address, at: new Date(), detail: '/configdata' });
  try {
    const made = await desk.make(uuid);
    if ('status' in made) return { answer: made, proof: 'none' };
    const verdict = await judge(sidero, made.sources, asked);
    if ('status' in verdict) {
      await tellRefusal(sidero, made.sources, { verdict, address });
      return { answer: verdict, proof: 'refused' };
    }
    if (!isPeek) await noteTaker(sidero, made.sources.binding, { verdict, address });
    sidero.log.info({ server: uuid, address, proof: verdict.admitted }, 'configuration given out');
    return { answer: { status: 200, text: made.text }, proof: verdict.admitted };
  } catch (thrown) {
    return { answer: await failed(sidero, uuid, thrown), proof: 'none' };
  }
}

async function judge({ resources, tokens, site }: Sidero, { binding, server, serverClass }: ConfigSources, asked: Asked): Promise<ConfigVerdict> {
  const environment = await resources.get(EnvironmentKind, { name: environmentNameOf({ server, serverClass }) });
  const hasOwnArgument = environment?.spec?.kernel?.args?.some((argument) => argument.startsWith('talos.config=')) ?? false;
  return judgeClaim(tokens, site.bootAuth, { binding, server, token: asked.token, address: asked.address, hasOwnArgument });
}

async function tellRefusal(sidero: Sidero, { server, metalMachine }: ConfigSources, given: { verdict: Refusal; address: string }): Promise<void> {
  const { verdict, address } = given;
  sidero.log.warn({ server: server.metadata.name, address, why: verdict.text }, 'configuration refused');
  sidero.lifecycle.stream({ type: 'refused', uuid: server.metadata.name, detail: verdict.text, at: new Date() });
  await tell(sidero, [server, metalMachine], `To a machine at ${address}: ${verdict.text}.`);
}

async function tell({ resources }: Sidero, about: readonly KubeObject[], message: string): Promise<void> {
  await Promise.all(about.map((object) => resources.record(object, { type: 'Warning', reason: 'Machine Config', message })));
}

/** Who has it, so that a second taker shows; and that this binding's machine has shown a token, so that it must from now on. */
async function noteTaker(
  { resources, log }: Sidero,
  binding: ServerBinding,
  given: { verdict: { admitted: string }; address: string },
): Promise<void> {
  const known = takenBy(binding);
  const isNoted = known?.address === given.address && (given.verdict.admitted !== 'proven' || binding.metadata.annotations?.[TOKEN_ANNOTATION]);
  if (isNoted) return;
  if (known && known.address !== given.address) {
    const message = `Its configuration, taken by ${known.address} at ${known.at}, was now taken by ${given.address}.`;
    await resources.record(binding, { type: 'Warning', reason: 'Machine Config', message });
    log.warn({ server: binding.metadata.name, address: given.address, first: known.address }, 'configuration taken from a second address');
  }
  await resources.change(ServerBindingKind, { name: binding.metadata.name }, (draft) => {
    const shown = given.verdict.admitted === 'proven' ? { [TOKEN_ANNOTATION]: 'shown' } : {};
    draft.metadata.annotations = { ...draft.metadata.annotations, ...shown, [TAKEN_ANNOTATION]: `${given.address} ${new Date().toISOString()}` };
  });
}

async function failed(sidero: Sidero, uuid: string, thrown: unknown): Promise<Refusal> {
  const { resources, log } = sidero;
  const code = thrown instanceof SideroError ? thrown.code : 'SIDERO_INTERNAL';
  if (!USER_ERRORS.some((known) => hasCode(thrown, known))) {
    log.error({ server: uuid, err: thrown }, 'configuration could not be made');
    return { status: 503, text: `${code}: the configuration cannot be made now; it is worth asking again` };
  }
  const message = messageOf(thrown);
  log.warn({ server: uuid, code, problem: message }, 'configuration could not be made');
  const binding = await resources.get(ServerBindingKind, { name: uuid });
  if (binding) await tell(sidero, await concerned(sidero, binding), message);
  return { status: 500, text: `${code}: ${message}` };
}

async function concerned({ resources }: Sidero, { metadata, spec }: ServerBinding): Promise<readonly KubeObject[]> {
  const { namespace = '', name = '' } = spec?.metalMachineRef ?? {};
  const objects = await Promise.all([resources.get(ServerKind, { name: metadata.name }), resources.get(MetalMachineKind, { namespace, name })]);
  return objects.filter((object) => object !== undefined);
}

function give(context: Context, { status, text }: Answer): void {
  context.status = status;
  context.type = 'text/plain; charset=utf-8';
  if (status === 503) context.set('Retry-After', String(RETRY_SECONDS));
  // It holds keys of a cluster.
  context.set('Cache-Control', 'no-store');
  context.body = status === 200 ? text : `${text}\n`;
}

// An IPv4 client of a socket that listens on IPv6 too.
function addressOf({ ip }: Context): string {
  return ip.replace(/^::ffff:(?=\d+\.)/, '');
}
