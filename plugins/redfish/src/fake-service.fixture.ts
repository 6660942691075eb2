import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createPlainServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';

/** A request as it came. */
export interface Asked {
  /** "GET /redfish/v1/". */
  readonly what: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A system of the service; tests change any of it. */
export interface FakeSystem {
  UUID: string | undefined;
  SerialNumber: string | undefined;
  PowerState: unknown;
  Boot: Record<string, unknown> | undefined;
  Actions: Record<string, unknown> | undefined;
  etag: number;
}

type Json = Readonly<Record<string, unknown>>;

/** The login that the service takes. */
export const LOGIN = { user: 'admin', pass: 'correct horse "battery"' };

const RESET_TYPES = ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'PowerCycle'];

/** A well-behaved Redfish service; what a test wants to go wrong is an entry of `instead`. */
export class FakeService implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** By "METHOD path": answers in place of the service. */
  readonly instead = new Map<string, RequestListener>();
  readonly systems = new Map([['1', aSystem()]]);
  readonly sessions = new Map<string, string>();
  /** Whether each boot of a system was told to be from the network. */
  readonly networkBoots: boolean[] = [];
  password = LOGIN.pass;
  isSilent = false;
  hasSessions = true;
  readonly #server;
  #logins = 0;

  constructor(tls?: { readonly key: string; readonly cert: string }) {
    const listener: RequestListener = (request, response) => void this.#answer(request, response);
    this.#server = tls ? createServer(tls, listener) : createPlainServer(listener);
    this.scheme = tls ? 'https' : 'http';
  }

  readonly scheme: 'http' | 'https';

  async listen(address = '127.0.0.1'): Promise<this> {
    this.#server.listen(0, address);
    await once(this.#server, 'listening');
    return this;
  }

  get port(): number {
    const at = this.#server.address();
    return typeof at === 'object' && at ? at.port : 0;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }

  /** What was asked, in order: "POST /redfish/v1/…". */
  whats(method?: string): readonly string[] {
    return this.asked.map(({ what }) => what).filter((what) => !method || what.startsWith(method));
  }

  /** The bodies of what was asked so. */
  bodies(what: string): readonly unknown[] {
    return this.asked.filter((asked) => asked.what === what).map(({ body }) => JSON.parse(body) as unknown);
  }

  /** From now on this is answered, with these headers and this status. */
  answer(what: string, status: number, { body = {}, headers = {} }: { body?: Json | string; headers?: Record<string, string> } = {}): void {
    this.instead.set(what, (_, response) => response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const what = `${request.method} ${request.url}`;
    const body = Buffer.concat(parts).toString('utf8');
    this.asked.push({ what, headers: request.headers, body });
    if (this.isSilent) return;
    const instead = this.instead.get(what);
    if (instead) return instead(request, response);
    const [status, answer, headers] = this.#answerTo(what, request, body);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(answer && JSON.stringify(answer));
  }

  #answerTo(what: string, { headers }: IncomingMessage, body: string): Answer {
    if (what === 'GET /redfish/v1/') return [200, this.#root()];
    if (what === 'POST /redfish/v1/SessionService/Sessions') return this.#logIn(JSON.parse(body) as Json);
    const token = headers['x-auth-token'];
    const basic = `Basic ${Buffer.from(`${LOGIN.user}:${this.password}`).toString('base64')}`;
    if (!(typeof token === 'string' && this.sessions.has(token)) && headers.authorization !== basic) return [401, problem('no login')];
    return this.#logOut(what) ?? this.#system(what, headers, body) ?? this.#account(what, body) ?? [404, problem('no such thing')];
  }

  #root(): Json {
    const sessions = { '@odata.id': '/redfish/v1/SessionService/Sessions' };
    return {
      RedfishVersion: '1.15.0',
      Systems: { '@odata.id': '/redfish/v1/Systems' },
      AccountService: { '@odata.id': '/redfish/v1/AccountService' },
      ...(this.hasSessions && { SessionService: { '@odata.id': '/redfish/v1/SessionService' }, Links: { Sessions: sessions } }),
    };
  }

  #logIn({ UserName, Password }: Json): Answer {
    if (!this.hasSessions) return [404, problem('no sessions')];
    if (UserName !== LOGIN.user || Password !== this.password) return [401, problem(`wrong password ${String(Password)}`)];
    const [token, location] = [randomUUID(), `/redfish/v1/SessionService/Sessions/${this.#logins++}`];
    this.sessions.set(token, location);
    return [201, { '@odata.id': location }, { 'x-auth-token': token, location }];
  }

  #logOut(what: string): Answer | undefined {
    for (const [token, location] of this.sessions) {
      if (what !== `DELETE ${location}`) continue;
      this.sessions.delete(token);
      return [204];
    }
    return undefined;
  }

  #system(what: string, headers: IncomingMessage['headers'], body: string): Answer | undefined {
    if (what === 'GET /redfish/v1/Systems') {
      return [200, { Members: [...this.systems.keys()].map((id) => ({ '@odata.id': `/redfish/v1/Systems/${id}` })) }];
    }
    const [, method, id = '', rest] = /^(\w+) \/redfish\/v1\/Systems\/(\w+)(\/.*)?$/.exec(what) ?? [];
    const system = this.systems.get(id);
    if (!system) return undefined;
    const { etag, ...members } = system;
    if (method === 'GET' && !rest) return [200, { '@odata.id': `/redfish/v1/Systems/${id}`, ...members }, { etag: `"${etag}"` }];
    if (method === 'PATCH') return this.#patch(system, headers['if-match'], JSON.parse(body) as { Boot: Json });
    if (rest === '/Actions/ComputerSystem.Reset') return this.#reset(system, (JSON.parse(body) as { ResetType: string }).ResetType);
    return undefined;
  }

  #patch(system: FakeSystem, match: string | undefined, { Boot }: { Boot: Json }): Answer {
    if (match !== `"${system.etag}"`) return [412, problem('it changed')];
    system.etag++;
    system.Boot = { ...system.Boot, ...Boot };
    return [204];
  }

  #reset(system: FakeSystem, type: string): Answer {
    const isOn = system.PowerState === 'On';
    if (isOn ? type === 'On' : type !== 'On') return [409, problem(`it is ${String(system.PowerState)} already`)];
    system.PowerState = type === 'ForceOff' || type === 'GracefulShutdown' ? 'Off' : 'On';
    if (system.PowerState === 'On') this.#boot(system);
    return [204];
  }

  #boot(system: FakeSystem): void {
    const isOnce = system.Boot?.['BootSourceOverrideEnabled'] === 'Once';
    this.networkBoots.push(isOnce && system.Boot?.['BootSourceOverrideTarget'] === 'Pxe');
    if (isOnce) system.Boot = { ...system.Boot, BootSourceOverrideEnabled: 'Disabled' };
  }

  #account(what: string, body: string): Answer | undefined {
    const accounts = '/redfish/v1/AccountService/Accounts';
    if (what === 'GET /redfish/v1/AccountService') return [200, { Accounts: { '@odata.id': accounts } }];
    if (what === `GET ${accounts}`) return [200, { Members: ['1', '2'].map((id) => ({ '@odata.id': `${accounts}/${id}` })) }];
    if (what === `GET ${accounts}/1`) return [200, { UserName: 'somebody' }];
    if (what === `GET ${accounts}/2`) return [200, { UserName: LOGIN.user }];
    if (what !== `PATCH ${accounts}/2`) return undefined;
    this.password = (JSON.parse(body) as { Password: string }).Password;
    return [204];
  }
}

type Answer = [status: number, body?: Json, headers?: Record<string, string>];

/** How Redfish tells that something is wrong. */
export function problem(text: string): Json {
  return { error: { code: 'Base.1.0.GeneralError', message: 'see below', '@Message.ExtendedInfo': [{ MessageId: 'Base.1.0', Message: text }] } };
}

/** A system that is off, and has everything. */
export function aSystem(overrides: Partial<FakeSystem> = {}): FakeSystem {
  return {
    UUID: '4c4c4544-0039-3010-8047-c4c04f4e4d32',
    SerialNumber: 'SN-1',
    PowerState: 'Off',
    Boot: {
      BootSourceOverrideTarget: 'None',
      BootSourceOverrideEnabled: 'Disabled',
      BootSourceOverrideMode: 'Legacy',
      'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 'Hdd', 'UefiHttp'],
    },
    Actions: {
      '#ComputerSystem.Reset': {
        target: '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset',
        'ResetType@Redfish.AllowableValues': RESET_TYPES,
      },
    },
    etag: 7,
    ...overrides,
  };
}
