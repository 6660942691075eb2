import { createRateLimit, type ServerBinding, ServerBindingKind, ServerKind, type Sidero } from '@sidero/core';
import { failure } from '../errors.ts';
import type { InstallationDesk, KnownInstallation } from '../installation/installation.ts';
import { parseKey } from '../installation/keys.ts';
import { canonicalAddress, withoutPrefix } from '../installation/network.ts';
import { PENDING_ANNOTATION } from '../peers/peer-keeper.ts';
import type { TunnelState } from '../tunnel/tunnel-service.ts';
import { Arrivals } from './arrivals.ts';
import { type Asked, askedOf, type Request, uuidOf } from './asked.ts';
import { hasOwnArgument } from './own-argument.ts';
import {
  type Admitted,
  FORMER_KEYS_ANNOTATION,
  JOIN_ANNOTATION,
  JOINED_ANNOTATION,
  joinedText,
  judgeProvision,
  keysAfter,
  mustShowToken,
  PIN_ANNOTATION,
  pinOf,
  problemOfKey,
  problemOfMachine,
  type ProvisionVerdict,
  showsToken,
} from './provision-claim.ts';

/** Annotation of a binding: the version of Talos that the machine told when it joined. */
export const VERSION_ANNOTATION = 'metal.sidero.dev/talos-version';
/** Another replica has so long to let a machine in. Talos waits 30 s. */
const PEER_MS = 5000;
/** Of Events about who was not let in. */
export const REFUSED_REASON = 'SideroLink Refused';
/** Draws of an address: of 2^64, one is enough. */
const ATTEMPTS = 32;

/** A machine that was let in. */
export interface Joined {
  readonly installation: KnownInstallation;
  /** With prefix length. */
  readonly address: string;
  readonly admitted: string;
}

export interface ProvisionOptions {
  readonly sidero: Sidero;
  readonly desk: InstallationDesk;
  readonly state: TunnelState;
  readonly arrivals: Arrivals;
}

/** Lets machines into the tunnel, on any replica. When it says so the machine is in. */
export class Provisioning {
  readonly #options: ProvisionOptions;
  readonly #perServer = createRateLimit({ perSecond: 1, burst: 20, keys: 50_000 });
  readonly #strangers = createRateLimit({ perSecond: 20, burst: 200, keys: 1 });
  readonly #counted: (labels: { proof: string }) => void;
  readonly #changed: (labels: { proof: string }) => void;

  constructor(options: ProvisionOptions) {
    this.#options = options;
    this.#counted = options.sidero.metrics.counter('sidero_siderolink_joins_total', 'Machines that were let into the tunnel, by their proof.', [
      'proof',
    ]);
    this.#changed = options.sidero.metrics.counter(
      'sidero_siderolink_key_changes_total',
      'Machines that came back with another key, by their proof.',
      ['proof'],
    );
    options.sidero.resources.index(ServerBindingKind, 'siderolink', namesInUse);
  }

  /**
   * @throws SIDERO_PROVISION_INVALID, SIDERO_PROVISION_KEY_INVALID, SIDERO_PROVISION_LIMITED, SIDERO_PROVISION_PENDING, SIDERO_PROVISION_REFUSED, SIDERO_PROVISION_UNKNOWN,
   * SIDERO_SIDEROLINK_UNKNOWN_YET
   */
  async join(request: Request, from: string): Promise<Joined> {
    const { desk, state } = this.#options;
    const uuid = uuidOf(request.nodeUuid);
    const binding = await this.#bindingOf(uuid, request.joinToken);
    const asked = askedOf(uuid, request, from);
    const installation = desk.known;
    if (!installation) throw failure('SIDERO_SIDEROLINK_UNKNOWN_YET', {});
    // WireGuard has no peer of its own key.
    if (asked.publicKey === installation.publicKey) throw failure('SIDERO_PROVISION_KEY_INVALID', { problem: 'it is the key of the server' });
    const verdict = await this.#judge(binding, asked);
    // Nobody loses the place he has while there is none to give.
    if (state.problem !== undefined) throw failure('SIDERO_PROVISION_PENDING', { server: uuid, why: state.problem });
    const joined = await this.#write(binding, asked, { verdict, installation });
    await this.#inPlace(joined, asked);
    this.#counted({ proof: verdict.admitted });
    return { installation, address: joined.spec!.siderolink!.address, admitted: verdict.admitted };
  }

  async #bindingOf(uuid: string, token = ''): Promise<ServerBinding> {
    const { resources, tokens } = this.#options.sidero;
    const known = await resources.get(ServerBindingKind, { name: uuid });
    // Whoever has no token uses up nothing of the machine that has it.
    const asker = known && (await showsToken(tokens, known, token)) ? `${uuid} with its token` : uuid;
    if (!this.#perServer.take(asker)) throw failure('SIDERO_PROVISION_LIMITED', { server: uuid });
    if (!known && !this.#strangers.take('')) throw failure('SIDERO_PROVISION_UNKNOWN', { server: uuid });
    const binding = await resources.get(ServerBindingKind, { name: uuid }, { live: true });
    if (!binding) throw failure('SIDERO_PROVISION_UNKNOWN', { server: uuid });
    return binding;
  }

  async #judge(binding: ServerBinding, asked: Asked): Promise<Extract<ProvisionVerdict, { admitted: string }>> {
    const { resources, site, tokens } = this.#options.sidero;
    const { uuid, token, machineToken, publicKey } = asked;
    const claim = { binding, token, machineToken, publicKey, hasOwnArgument: await hasOwnArgument(resources, binding) };
    const verdict = await judgeProvision(tokens, site.bootAuth, claim);
    const others = (await resources.find(ServerBindingKind, 'siderolink', publicKey)).filter(({ metadata }) => metadata.name !== uuid);
    // Whatever boot authentication says: one key is one place in the tunnel.
    const why = 'refused' in verdict ? verdict.why : others[0] && `its WireGuard key is that of server ${others[0].metadata.name}`;
    if (why !== undefined) {
      await this.#tellRefusal(binding, asked, why);
      throw failure('SIDERO_PROVISION_REFUSED', { server: uuid, why });
    }
    return verdict as Extract<ProvisionVerdict, { admitted: string }>;
  }

  async #tellRefusal(binding: ServerBinding, { uuid, from }: Asked, why: string): Promise<void> {
    const { log } = this.#options.sidero;
    log.warn({ server: uuid, address: from, problem: why }, 'a machine was not let into the tunnel');
    const message = `A machine at ${from} asked to join SideroLink as this server and was refused: ${why}.`;
    await this.#tell(binding, { reason: REFUSED_REASON, message });
  }

  async #tell(binding: ServerBinding, { reason, message }: { reason: string; message: string }): Promise<void> {
    const { resources } = this.#options.sidero;
    const server = await resources.get(ServerKind, { name: binding.metadata.name });
    for (const about of [binding, ...(server ? [server] : [])]) await resources.record(about, { type: 'Warning', reason, message });
  }

  async #write(
    judged: ServerBinding,
    asked: Asked,
    { verdict, installation }: { verdict: Extract<ProvisionVerdict, { admitted: string }>; installation: KnownInstallation },
  ): Promise<ServerBinding> {
    const { sidero, state } = this.#options;
    const address = await this.#newAddress(asked.uuid, installation);
    const keeps = await this.#mayKeep(judged, installation);
    let overtaken = false;
    const written = await sidero.resources.change(ServerBindingKind, { name: asked.uuid }, (draft) => {
      overtaken = draft.metadata.uid !== judged.metadata.uid || wasOvertaken(draft, asked, verdict.admitted);
      if (overtaken) return false;
      const before = draft.spec?.siderolink;
      const given = before && keeps && before.address === judged.spec?.siderolink?.address ? before.address : address;
      const isNew = before?.publicKey !== asked.publicKey || before.address !== given;
      if (isNew) awaitPeer(draft, state.keeper ? undefined : asked.publicKey);
      note(draft, asked, verdict.admitted);
      draft.spec = { ...draft.spec!, siderolink: { address: given, publicKey: asked.publicKey } };
    });
    if (overtaken) throw failure('SIDERO_PROVISION_PENDING', { server: asked.uuid, why: 'its ServerBinding changed meanwhile' });
    await this.#tellKey(judged, asked, verdict);
    return written;
  }

  async #newAddress(uuid: string, { network }: KnownInstallation): Promise<string> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const address = network.newAddress(uuid, attempt);
      const others = await this.#options.sidero.resources.find(ServerBindingKind, 'siderolink', withoutPrefix(address));
      if (others.every(({ metadata }) => metadata.name === uuid)) return address;
    }
    throw failure('SIDERO_PROVISION_PENDING', { server: uuid, why: 'no free address was found' });
  }

  // An address of another subnet (the Secret is another one), of the server, or of another machine is not kept.
  async #mayKeep(binding: ServerBinding, { network }: KnownInstallation): Promise<boolean> {
    const given = binding.spec?.siderolink?.address ?? '';
    const address = canonicalAddress(withoutPrefix(given));
    if (!address || !network.isMachine(address) || given !== `${address}/${network.prefixLength}`) return false;
    const others = await this.#options.sidero.resources.find(ServerBindingKind, 'siderolink', address);
    return others.every(({ metadata }) => metadata.name === binding.metadata.name);
  }

  async #tellKey(
    before: ServerBinding,
    { uuid, publicKey, from, machineToken }: Asked,
    { admitted, why }: { admitted: string; why: string },
  ): Promise<void> {
    const { log } = this.#options.sidero;
    const key = before.spec?.siderolink?.publicKey;
    if (key === publicKey) return;
    const isProven = admitted === 'proven' || (machineToken !== '' && before.metadata.annotations?.[PIN_ANNOTATION] === pinOf(before, machineToken));
    log.info({ server: uuid, address: from, proof: admitted, isFirst: !key, public_key: publicKey }, 'a machine has a new key in the tunnel');
    if (!key) return;
    this.#changed({ proof: admitted });
    if (isProven) return;
    const message = `A machine at ${from} took this server's place in the SideroLink tunnel with a new key and without proof: ${why}.`;
    await this.#tell(before, { reason: 'SideroLink Key', message });
  }

  /** Waits until WireGuard knows the machine. */
  async #inPlace(binding: ServerBinding, { uuid, publicKey }: Asked): Promise<void> {
    const { arrivals, state } = this.#options;
    const address = withoutPrefix(binding.spec!.siderolink!.address);
    if (state.keeper) {
      if (!state.keeper.has(publicKey, address)) await state.keeper.sync();
      if (state.keeper?.has(publicKey, address)) return;
      throw failure('SIDERO_PROVISION_PENDING', { server: uuid, why: 'the tunnel is being made anew' });
    }
    if (await arrivals.of(uuid, publicKey, PEER_MS)) return;
    throw failure('SIDERO_PROVISION_PENDING', { server: uuid, why: `no replica let it in within ${PEER_MS / 1000} s` });
  }
}

/** What an index of bindings has: the address without prefix length, and the key. */
function namesInUse({ spec }: ServerBinding): readonly string[] {
  const { address = '', publicKey = '' } = spec?.siderolink ?? {};
  const plain = canonicalAddress(withoutPrefix(address));
  const parsed = parseKey(publicKey);
  return [...(plain ? [plain] : []), ...('key' in parsed ? [parsed.key] : [])];
}

/** What was judged must still be so when it is written: another machine may have joined meanwhile, or shown the token. */
function wasOvertaken(draft: ServerBinding, { machineToken, publicKey }: Asked, admitted: string): boolean {
  if (admitted === 'unproven') return false;
  const problem = problemOfMachine(draft, machineToken, admitted) ?? problemOfKey(draft, publicKey);
  return (admitted === 'open' && mustShowToken(draft)) || problem !== undefined;
}

/** Asks the replica with the tunnel to say when the machine is let in; without a key nobody need be asked. */
function awaitPeer(draft: ServerBinding, publicKey: string | undefined): void {
  const { [PENDING_ANNOTATION]: _before, ...rest } = draft.metadata.annotations ?? {};
  if (publicKey !== undefined) draft.metadata.annotations = { ...rest, [PENDING_ANNOTATION]: publicKey };
  else if (draft.metadata.annotations) draft.metadata.annotations = rest;
}

// Before its new key stands there.
function note(draft: ServerBinding, { machineToken, publicKey, talosVersion }: Asked, admitted: Admitted): void {
  const annotations = { ...draft.metadata.annotations };
  const former = keysAfter(draft, publicKey);
  if (former !== '') annotations[FORMER_KEYS_ANNOTATION] = former;
  if (draft.spec?.siderolink?.publicKey !== publicKey || !annotations[JOINED_ANNOTATION])
    annotations[JOINED_ANNOTATION] = joinedText(admitted, new Date());
  if (admitted === 'proven') annotations[JOIN_ANNOTATION] = 'shown';
  if (admitted === 'open') annotations[JOIN_ANNOTATION] = 'none';
  if (machineToken !== '' && admitted !== 'unproven') annotations[PIN_ANNOTATION] = pinOf(draft, machineToken);
  if (talosVersion !== '') annotations[VERSION_ANNOTATION] = talosVersion;
  if (Object.keys(annotations).length > 0) draft.metadata.annotations = annotations;
}
