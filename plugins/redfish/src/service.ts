import { type BmcLogin, orAborted } from '@sidero/core';
import { Pool } from 'undici';
import { documentOf, isAbsent, isTaken, refusal } from './answers.ts';
import { clauseOf } from './bmc-failures.ts';
import { Created, read, ServiceRoot } from './documents.ts';
import { type Ask, type Call, exchange, type Line, type Reply } from './exchange.ts';
import { pathInLocation, pathWithin } from './service-place.ts';
import { connectorFor } from './tls-connector.ts';
import type { Trust } from './trust.ts';

/** How we log in: by a session, by basic authentication, or `auto`: by a session where the service has them. */
export type Auth = 'auto' | 'session' | 'basic';

/** What a service is reached with. */
export interface ServiceOptions {
  readonly origin: string;
  readonly login: BmcLogin;
  readonly trust: Trust;
  readonly auth: Auth;
  /** Longest wait for one answer. */
  readonly timeoutMs: number;
  /** Longest that a busy service may make us wait. */
  readonly patienceMs: number;
}

const ROOT_PATH = '/redfish/v1/';
const SESSIONS_PATH = '/redfish/v1/SessionService/Sessions';
// No sessions, or none left: then basic authentication may do.
const NO_SESSION = [400, 404, 405, 409, 501];
const LOGOUT_MS = 2000;

/** One Redfish service under one login; every Server that is behind it uses the same. Connects with the first request. */
export class RedfishService {
  readonly #line: Line;
  readonly #auth: Auth;
  #login: BmcLogin;
  #root: ServiceRoot | undefined;
  #isBasic: boolean;
  #session: { readonly token: string; readonly path: string | undefined } | undefined;
  #loggingIn: Promise<void> | undefined;
  readonly #hidden: string[] = [];

  constructor({ origin, login, trust, auth, timeoutMs, patienceMs }: ServiceOptions) {
    this.#login = login;
    this.#auth = auth;
    this.#isBasic = auth === 'basic';
    // A pool has one origin: nothing that it is given leaves for another.
    const pool = new Pool(origin, { connect: connectorFor(trust), connections: 2, headersTimeout: 0, bodyTimeout: 0 });
    this.#line = { pool, origin, timeoutMs, patienceMs, secrets: () => this.#secrets() };
  }

  get user(): string {
    return this.#login.user;
  }

  /** Whether that is the login it uses now. */
  isUnder({ user, pass }: BmcLogin): boolean {
    return user === this.#login.user && pass === this.#login.pass;
  }

  /** How it is logged in, for people. */
  get scheme(): string {
    return this.#isBasic ? 'basic' : 'session';
  }

  /** From now on this stands in no error, as the login never does. */
  hide(secret: string): void {
    this.#hidden.push(secret);
  }

  /** From now on this is the password; sessions that are open stay. */
  changePassword(pass: string): void {
    this.hide(this.#login.pass);
    this.#login = { user: this.#login.user, pass };
  }

  /**
   * The entry of the service, read once.
   * @throws SIDERO_BMC_UNSUPPORTED when there is none
   */
  async root(call: Call): Promise<ServiceRoot> {
    if (this.#root) return this.#root;
    const ask: Ask = { method: 'GET', path: ROOT_PATH };
    let reply = await exchange(this.#line, ask, call);
    // It is meant to be read by everybody, but some services ask for a login here, too.
    if (reply.status === 401) reply = await exchange(this.#line, { ...ask, headers: this.#basic() }, call);
    if (isAbsent(reply)) throw call.failures.unsupported(`there is no Redfish service, ${reply.asked} gives status ${reply.status}`);
    this.#root = documentOf(reply, ServiceRoot, call);
    return this.#root;
  }

  /**
   * Asks with our login, once more when the session had ended. Any status may come back but 401.
   * @throws SIDERO_BMC_AUTH, and what `exchange` throws
   */
  async ask(ask: Ask, call: Call): Promise<Reply> {
    const before = this.#session;
    const reply = await this.#askLoggedIn(ask, call);
    if (reply.status !== 401) return reply;
    if (before && this.#session === before) this.#session = undefined;
    const again = before ? await this.#askLoggedIn(ask, call) : reply;
    if (again.status === 401) throw refusal(again, call);
    return again;
  }

  /** The path of a link that the service gave. @throws SIDERO_BMC_FAULT when it leads elsewhere: the login must not go there */
  pathOf(link: string, { failures }: Pick<Call, 'failures'>): string {
    const path = pathWithin(this.#line.origin, link);
    if (path === undefined) throw failures.fault('one of its links leads to another host, which is refused');
    return path;
  }

  /** The path of what an answer says it made; undefined when it does not say. */
  madeBy(reply: Reply): string | undefined {
    const at = reply.header('location') ?? read(Created, reply.text)?.['@odata.id'];
    return at === undefined ? undefined : pathInLocation(this.#line.origin, at);
  }

  /** A text of the service as a clause for errors, without our login. */
  clause(text: string): string {
    return clauseOf(text, this.#secrets());
  }

  /** Logs out, as well as it goes, and closes the connections. */
  async close(call: Pick<Call, 'failures'>): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session?.path !== undefined) {
      const ask: Ask = { method: 'DELETE', path: session.path, headers: { 'x-auth-token': session.token } };
      // A service that is gone ends the session by itself in a while.
      await exchange({ ...this.#line, patienceMs: 0 }, ask, { ...call, signal: AbortSignal.timeout(LOGOUT_MS) }).catch(() => undefined);
    }
    await this.#line.pool.destroy();
  }

  async #askLoggedIn(ask: Ask, call: Call): Promise<Reply> {
    while (!this.#isBasic && !this.#session) {
      // One logs in, the others wait and look again: a failure is each one's own.
      const other = this.#loggingIn?.catch(() => undefined);
      await (other ? orAborted(other, call.signal) : this.#logInAlone(call));
    }
    const login: Record<string, string> = this.#session ? { 'x-auth-token': this.#session.token } : this.#basic();
    return exchange(this.#line, { ...ask, headers: { ...ask.headers, ...login } }, call);
  }

  async #logInAlone(call: Call): Promise<void> {
    try {
      await (this.#loggingIn = this.#logIn(call));
    } finally {
      this.#loggingIn = undefined;
    }
  }

  async #logIn(call: Call): Promise<void> {
    const path = await this.#sessionsPath(call);
    if (path === undefined) {
      this.#isBasic = true;
      return;
    }
    const body = { UserName: this.#login.user, Password: this.#login.pass };
    const reply = await exchange(this.#line, { method: 'POST', path, body }, call);
    if (this.#auth === 'auto' && NO_SESSION.includes(reply.status)) {
      this.#isBasic = true;
      return;
    }
    if (!isTaken(reply)) throw refusal(reply, call);
    const token = reply.header('x-auth-token') ?? '';
    if (!/^[\x21-\x7e]{1,4096}$/.test(token)) throw call.failures.fault(`${reply.asked}: the answer has no usable X-Auth-Token`);
    this.#session = { token, path: this.madeBy(reply) };
  }

  /** Where sessions are made; undefined when basic authentication is the way. */
  async #sessionsPath(call: Call): Promise<string | undefined> {
    const { Links, SessionService: service } = await this.root(call);
    const direct = Links?.Sessions?.['@odata.id'];
    if (direct !== undefined) return this.pathOf(direct, call);
    if (this.#auth === 'session' || service) return SESSIONS_PATH;
    return undefined;
  }

  #basic(): Record<string, string> {
    return { authorization: `Basic ${this.#encoded()}` };
  }

  #encoded(): string {
    return Buffer.from(`${this.#login.user}:${this.#login.pass}`, 'utf8').toString('base64');
  }

  #secrets(): readonly string[] {
    return [this.#login.pass, this.#encoded(), this.#session?.token ?? '', ...this.#hidden];
  }
}
