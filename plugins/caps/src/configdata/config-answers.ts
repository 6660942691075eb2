import {
  createRateLimit,
  environmentNameOf,
  EnvironmentKind,
  messageOf,
  type ServerBinding,
  ServerBindingKind,
  type Sidero,
  SideroError,
} from '@sidero/core';
import { boundMachine, type BoundServer, lookedAt } from '../bound-machine.ts';
import { adviceOf } from '../errors.ts';
import type { ClusterApiKinds } from '../kinds.ts';
import { endTrouble, noteTrouble, type Trouble } from '../machine-trouble.ts';
import { type ConfigVerdict, judgeClaim, TAKEN_ANNOTATION, takenBy, TOKEN_ANNOTATION } from './config-claim.ts';
import { ConfigDesk } from './config-desk.ts';
import { ConfigNews } from './config-news.ts';
import { boundServer, gatherSources, type Refusal } from './sources.ts';

/** Who asks for a configuration. */
export interface Asked {
  /** As sent; may be empty. */
  readonly uuid: string;
  readonly token: string;
  readonly address: string;
  /** HEAD: nothing is recorded. */
  readonly isPeek: boolean;
}

/** What a machine is answered, and how it proved itself: `none` where that was not asked. */
export interface Answer {
  readonly status: 200 | Refusal['status'];
  /** A sentence; for 200 the configuration in UTF-8. */
  readonly body: string | Buffer;
  readonly proof: 'proven' | 'open' | 'unproven' | 'refused' | 'none';
}

type Admitted = Exclude<ConfigVerdict, Refusal>;

/** Errors that a user has to mend, and what the condition calls them; anything else is ours, or passes. */
const USER_ERRORS: Readonly<Record<string, string>> = {
  SIDERO_MACHINE_CONFIG_INVALID: 'ConfigInvalid',
  SIDERO_MACHINE_CONFIG_PATCH_FAILED: 'PatchFailed',
};

/** Gives bound machines their configuration. Nobody learns more than whether a server is bound before it was judged. */
export class ConfigAnswers {
  readonly #sidero: Sidero;
  readonly #kinds: () => Promise<ClusterApiKinds>;
  readonly #desk: ConfigDesk;
  readonly #news: ConfigNews;
  // Who shows the right token is never held up; sources are not real behind a Service.
  readonly #guesses = createRateLimit({ perSecond: 0.2, burst: 20, keys: 50_000 });
  readonly #allGuesses = createRateLimit({ perSecond: 20, burst: 500, keys: 1 });

  constructor(sidero: Sidero, kinds: () => Promise<ClusterApiKinds>) {
    this.#sidero = sidero;
    this.#kinds = kinds;
    this.#desk = new ConfigDesk(sidero.lifecycle);
    this.#news = new ConfigNews((...event) => sidero.resources.record(...event));
  }

  /** Never throws. */
  async answer(asked: Asked): Promise<Answer> {
    const { uuid, address, isPeek } = asked;
    if (uuid === '') return { status: 400, body: 'received metadata request with empty uuid', proof: 'none' };
    if (!isPeek) this.#sidero.lifecycle.stream({ type: 'seen', wire: 'http', uuid, address, at: new Date(), detail: '/configdata' });
    try {
      const bound = await boundServer(this.#sidero.resources, uuid);
      if ('status' in bound) return { ...told(await this.#missing(bound, asked)), proof: 'none' };
      const verdict = await this.#judge(bound, asked);
      if ('status' in verdict) return { ...told(await this.#refuse(bound, verdict, address)), proof: 'refused' };
      return { ...(await this.#serve(bound, verdict, asked)), proof: verdict.admitted };
    } catch (thrown) {
      this.#sidero.log.error({ server: uuid, err: thrown }, 'configuration could not be made');
      return { status: 503, body: `${codeOf(thrown)}: the configuration cannot be made now; it is worth asking again`, proof: 'none' };
    }
  }

  async #judge({ binding, server, serverClass }: BoundServer, { token, address }: Asked): Promise<ConfigVerdict> {
    const { resources, tokens, site } = this.#sidero;
    const environment = await resources.get(EnvironmentKind, { name: environmentNameOf(server, serverClass) });
    const hasOwnArgument = environment?.spec?.kernel?.args?.some((argument) => argument.startsWith('talos.config=')) ?? false;
    return judgeClaim(tokens, site.bootAuth, { binding, server, token, address, hasOwnArgument });
  }

  async #refuse(bound: BoundServer, refusal: Refusal, address: string): Promise<Refusal> {
    const uuid = bound.server.metadata.name;
    if (!this.#allGuesses.take('') || !this.#guesses.take(uuid)) {
      return { status: 429, text: `the configuration of ${uuid} was asked for too often without its token` };
    }
    const { log, lifecycle } = this.#sidero;
    log.warn({ server: uuid, address, why: refusal.text }, 'configuration refused');
    lifecycle.stream({ type: 'refused', uuid, detail: refusal.text, at: new Date() });
    await this.#tell(uuid, `To a machine at ${address}: ${refusal.text}.${nextOf(refusal)}`);
    return refusal;
  }

  async #serve(bound: BoundServer, verdict: Admitted, asked: Asked): Promise<Omit<Answer, 'proof'>> {
    const { resources, site, log } = this.#sidero;
    const { address } = asked;
    const uuid = bound.server.metadata.name;
    const sources = await gatherSources(resources, await this.#kinds(), bound);
    if ('status' in sources) return told(await this.#missing(sources, asked));
    const made = await this.#desk.make(sources).catch((thrown: unknown) => this.#failed(thrown, asked));
    if ('status' in made) return told(made);
    if (!asked.isPeek) {
      await this.#noteTaker(bound.binding, { admitted: verdict.admitted, address });
      await endTrouble(resources, bound.binding, ['TalosConfigServed']);
    }
    if (verdict.admitted !== 'unproven') this.#news.forget(uuid);
    else if (site.bootAuth === 'report') await this.#tell(uuid, `Given to a machine at ${address} as bootAuth is "report": ${verdict.why}.`);
    log.info({ server: uuid, address, proof: verdict.admitted }, 'configuration given out');
    return { status: 200, body: made };
  }

  async #missing(refusal: Refusal, asked: Asked): Promise<Refusal> {
    const { text, reason } = refusal;
    const message = `It cannot be given its configuration: ${text}.${nextOf(refusal)}`;
    if (reason !== undefined) await this.#trouble(asked, { reason, severity: 'Error', message });
    return refusal;
  }

  async #failed(thrown: unknown, asked: Asked): Promise<Refusal> {
    const code = codeOf(thrown);
    const reason = USER_ERRORS[code];
    if (reason !== undefined) {
      await this.#trouble(asked, { reason, severity: 'Error', message: adviceOf(thrown) });
      return { status: 500, text: `${code}: ${messageOf(thrown)}` };
    }
    const plugin = thrown instanceof SideroError ? thrown.details['plugin'] : undefined;
    // What a plugin throws may hold anything; its log has it whole.
    if (typeof plugin !== 'string') throw thrown;
    const why = `plugin "${plugin}" cannot say now what the machine needs`;
    const message = `${code}: ${why}. Next: the log of sidero has what the plugin said; the machine asks again by itself.`;
    if (await this.#trouble(asked, { reason: 'PluginFailed', severity: 'Warning', message }))
      this.#sidero.log.error({ server: asked.uuid, err: thrown }, why);
    return { status: 503, text: `${code}: ${why}` };
  }

  /** Who has it, so that a second taker shows; and that this binding's machine has shown a token, so that it must from now on. */
  async #noteTaker(binding: ServerBinding, { admitted, address }: Pick<Admitted, 'admitted'> & { address: string }): Promise<void> {
    const { resources, log } = this.#sidero;
    const { name, annotations } = binding.metadata;
    const known = takenBy(binding);
    if (known?.address === address && (admitted !== 'proven' || annotations?.[TOKEN_ANNOTATION])) return;
    if (known && known.address !== address) {
      const message =
        `Its configuration, taken by ${known.address} at ${known.at}, was now taken by ${address}. ` +
        `Next: unless that is the machine's other address, somebody else has the keys of its cluster, which must be renewed.`;
      await resources.record(binding, { type: 'Warning', reason: 'Machine Config', message });
      log.warn({ server: name, address, first: known.address }, 'configuration taken from a second address');
    }
    await resources.change(ServerBindingKind, { name }, (draft) => {
      const shown = admitted === 'proven' ? { [TOKEN_ANNOTATION]: 'shown' } : {};
      draft.metadata.annotations = { ...draft.metadata.annotations, ...shown, [TAKEN_ANNOTATION]: `${address} ${new Date().toISOString()}` };
    });
  }

  /** A condition as long as it lasts, and an Event. True when it was news. */
  async #trouble({ uuid, isPeek }: Asked, trouble: Omit<Trouble, 'type'>): Promise<boolean> {
    if (!isPeek) await noteTrouble(this.#sidero, uuid, { type: 'TalosConfigServed', ...trouble });
    return this.#tell(uuid, trouble.message);
  }

  /** On the Server and on its MetalMachine, and in the log. True when it was news. */
  async #tell(uuid: string, message: string): Promise<boolean> {
    const { resources, log } = this.#sidero;
    const isNews = await this.#news.tell(uuid, message, async () => {
      const bound = await boundMachine(resources, uuid);
      return bound ? lookedAt(resources, bound) : [];
    });
    if (isNews) log.warn({ server: uuid, problem: message }, 'a machine and its configuration');
    return isNews;
  }
}

const told = ({ status, text }: Refusal) => ({ status, body: text });
const nextOf = ({ next }: Refusal) => (next === undefined ? '' : ` Next: ${next}.`);

function codeOf(thrown: unknown): string {
  return thrown instanceof SideroError ? thrown.code : 'SIDERO_INTERNAL';
}
