import {
  Client,
  credentials,
  Metadata,
  Server as GrpcServer,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type BootPass, failure, type HardwareReport, type Secret, type Server, type Sidero } from '@sidero/core';
import { AsyncSeriesBailHook, AsyncSeriesWaterfallHook } from 'tapable';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { agent } from './agent.ts';
import { type AgentClient, agentClient } from './client.ts';
import type { AgentOptions } from './options.ts';
import { nextStepOf } from './status.ts';

const uuid = '4c4c4544-0039-3010-8047-c4c04f4e4d32';
const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

type Plan = Awaited<ReturnType<Sidero['lifecycle']['wipe']>>;

/** The stages as the API sees them, with what each test wants of them; resources are a map. */
class Stages {
  server: Server = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: uuid, uid: 'u1' }, spec: { accepted: true } };
  plan: Plan = { method: 'insecure', disks: [] };
  secrets = new Map<string, Secret>();
  calls: unknown[][] = [];
  token: string | undefined = 'fresh';
  target = 'agent';
  fail: Error | undefined;
  readonly lines: string[] = [];

  note(...call: unknown[]) {
    this.calls.push(call);
    if (this.fail) throw this.fail;
  }
}

function sideroOf(stages: Stages, added: (definition: ServiceDefinition, handlers: UntypedServiceImplementation) => void): Sidero {
  const hooks = { accept: new AsyncSeriesBailHook(['server']), wipe: new AsyncSeriesWaterfallHook<[Plan, Server]>(['plan', 'server']) };
  const lifecycle = {
    admit: async (claim: { uuid: string; token?: string; address: string }): Promise<BootPass> => {
      stages.note('admit', claim);
      if (claim.token === 'wrong')
        throw failure('SIDERO_BOOT_TOKEN_INVALID', { uuid: claim.uuid, address: claim.address, why: 'its boot token has ended' });
      return { uuid: claim.uuid, bootId: 'b1', proven: true };
    },
    renew: async () => stages.token,
    discover: async (report: HardwareReport) => {
      stages.note('discover', report);
      return { server: stages.server, created: false };
    },
    wipe: async (server: Server) => hooks.wipe.promise(stages.plan, server),
    wipeHanded: async (pass: BootPass, order: unknown) => stages.note('wipeHanded', pass, order),
    wiped: async (pass: BootPass, disks: unknown) => stages.note('wiped', pass, disks),
    wipeRefused: async (pass: BootPass, message: string) => stages.note('wipeRefused', pass, message),
    wiping: async (pass: BootPass, disks: unknown) => {
      stages.note('wiping', pass, disks);
      return 'hold' in stages.plan ? stages.plan : undefined;
    },
    wipeFailed: async (pass: BootPass, given: unknown) => stages.note('wipeFailed', pass, given),
    boot: async () => ({ target: stages.target }),
    stream: () => undefined,
  };
  const resources = {
    get: async () => stages.server,
    create: async (_kind: unknown, secret: Secret) => {
      if (stages.secrets.has(secret.metadata.name)) throw failure('SIDERO_RESOURCE_EXISTS', { kind: 'Secret', name: secret.metadata.name });
      stages.secrets.set(secret.metadata.name, secret);
    },
    change: async (kind: { kind: string }, ref: { name: string }, edit: (draft: unknown) => unknown) => {
      const object = kind.kind === 'Secret' ? stages.secrets.get(ref.name) : stages.server;
      const wrote = edit(object) !== false;
      stages.note('change', kind.kind, wrote);
      return object;
    },
    record: async (_about: unknown, event: unknown) => stages.note('record', event),
  };
  const metrics = { counter: () => () => undefined };
  const log = pino({ level: 'debug' }, { write: (line: string) => void stages.lines.push(line) });
  return {
    hooks,
    lifecycle,
    resources,
    metrics,
    log,
    grpc: { add: added },
    variables: {},
    site: { bootAuth: 'require', rebootTimeoutMs: 90_000 },
  } as unknown as Sidero;
}

async function listening(stages: Stages, options: Partial<AgentOptions> = {}): Promise<{ client: AgentClient; target: string }> {
  const server = new GrpcServer();
  agent(options).setup(sideroOf(stages, (definition, handlers) => server.addService(definition, handlers)));
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  const target = `127.0.0.1:${port}`;
  const client = agentClient({ target, token: 'first' });
  closing.push(
    () => client[Symbol.dispose](),
    () => server.forceShutdown(),
  );
  return { client, target };
}

const refusal = async (call: Promise<unknown>): Promise<ServiceError> =>
  call.then(
    () => Promise.reject(new Error('it was answered')),
    (error: ServiceError) => error,
  );
const named = (stages: Stages, name: string) => stages.calls.filter(([call]) => call === name);

test('an accepted, dirty server with the agent of the original is told to wipe, and the boot is recorded', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  const answer = await client.createServer({ hardware: { system: { uuid: uuid.toUpperCase() } }, hostname: 'node' });
  expect(answer).toMatchObject({ accepted: true, wipe: true, insecureWipe: true, setupBmc: true, rebootTimeout: 90, token: 'fresh', hold: '' });
  expect(named(stages, 'admit')[0]?.[1]).toEqual({ uuid, token: 'first', address: '127.0.0.1' });
  expect(named(stages, 'discover')[0]?.[1]).toMatchObject({ uuid, hostname: 'node', address: '127.0.0.1', hardware: { system: { uuid } } });
  expect(named(stages, 'wipeHanded')).toHaveLength(1);
  expect(client.token).toBe('fresh');
});

test('an agent that cannot wipe is told to wait, and the Server says why', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  const answer = await client.createServer({ hardware: { system: { uuid } }, agentVersion: '0.1.0' });
  expect(answer).toMatchObject({ accepted: true, wipe: false, hold: 'the agent on the machine cannot wipe disks', rebootTimeout: 0 });
  expect(named(stages, 'wipeHanded')).toEqual([]);
  expect(named(stages, 'wipeRefused')[0]?.[2]).toBe('the agent on the machine cannot wipe disks');
});

test('a server that is not accepted learns nothing but its token', async () => {
  const stages = new Stages();
  stages.server = { ...stages.server, spec: { accepted: false } };
  const { client } = await listening(stages);
  expect(await client.createServer({ hardware: { system: { uuid } } })).toMatchObject({
    accepted: false,
    wipe: false,
    setupBmc: false,
    token: 'fresh',
  });
});

test('a clean server is not wiped; BMC set-up is asked for while the login is missing', async () => {
  const stages = new Stages();
  stages.server = { ...stages.server, spec: { accepted: true, bmc: { endpoint: '10.0.9.1' } }, status: { isClean: true } };
  const { client } = await listening(stages);
  expect(await client.createServer({ hardware: { system: { uuid } } })).toMatchObject({ wipe: false, setupBmc: true });
  stages.server.spec = { accepted: true, bmc: { endpoint: '10.0.9.1', user: 'a', pass: 'b' } };
  expect(await client.createServer({ hardware: { system: { uuid } } })).toMatchObject({ setupBmc: false });
});

test('an allocated machine with our agent is told to boot again; the agent of the original restarts anyway', async () => {
  const stages = new Stages();
  stages.target = 'environment';
  stages.plan = { hold: 'it is allocated' };
  const { client } = await listening(stages);
  expect(await client.createServer({ hardware: { system: { uuid } }, agentVersion: '0.1.0' })).toMatchObject({ reboot: true, wipe: false });
  expect(await client.createServer({ hardware: { system: { uuid } } })).toMatchObject({ reboot: false });
  stages.target = 'wait';
  expect(await client.createServer({ hardware: { system: { uuid } }, agentVersion: '0.1.0' })).toMatchObject({ reboot: false });
});

test('a hold goes to the machine in words', async () => {
  const stages = new Stages();
  stages.plan = { hold: 'the Server is allocated to MetalMachine default/cp-0' };
  const { client } = await listening(stages);
  expect(await client.createServer({ hardware: { system: { uuid } } })).toMatchObject({
    wipe: false,
    hold: 'the Server is allocated to MetalMachine default/cp-0',
  });
  expect(await client.heartbeat({ uuid })).toMatchObject({ stop: true, stopReason: expect.stringMatching(/./) });
});

test('insecureWipe: false turns the default wipe into zeros and leaves what a plugin chose', async () => {
  const stages = new Stages();
  const { client } = await listening(stages, { insecureWipe: false });
  expect(await client.createServer({ hardware: { system: { uuid } } })).toMatchObject({ wipe: true, insecureWipe: false });
  stages.plan = { method: 'nvme-format', disks: [] };
  expect(await client.createServer({ hardware: { system: { uuid } } })).toMatchObject({ wipe: false, hold: expect.stringContaining('nvme-format') });
});

const capable = { agentVersion: '1', capabilities: ['wipe', 'wipe-plan', 'wipe:zero'] };
const disk = { deviceName: '/dev/sda', serial: 'S1', state: 'done', sizeBytes: 4096n, doneBytes: 4096n, seconds: 2, samples: 3 };

test('wipeMethod is the method for every disk, and the record says that each is answered for', async () => {
  const stages = new Stages();
  const { client } = await listening(stages, { wipeMethod: 'zero' });
  const answer = await client.createServer({ hardware: { system: { uuid } }, ...capable });
  expect(answer).toMatchObject({ wipe: true, insecureWipe: false, wipePlan: { method: 'zero', rules: [] } });
  expect(named(stages, 'wipeHanded')[0]?.[2]).toEqual({ plan: { method: 'zero', disks: [] }, isByDisk: true });
});

test('how each disk is reaches the stages without what is empty', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  const outcome = { ...disk, sizeBytes: 4096, doneBytes: 4096 };
  await client.markServerAsWiped({ uuid, disks: [disk] });
  expect(named(stages, 'wiped')[0]?.[2]).toEqual([outcome]);
  await client.reportFailure({ uuid, stage: 'wipe', message: 'sda: gone', disks: [{ ...disk, state: 'failed', problem: 'gone' }] });
  expect(named(stages, 'wipeFailed')[0]?.[2]).toEqual({ message: 'sda: gone', disks: [{ ...outcome, state: 'failed', problem: 'gone' }] });
});

test.each([
  ['a state that is none', { ...disk, state: 'clean' }],
  ['no device', { ...disk, deviceName: '' }],
  ['more bytes than a number holds', { ...disk, doneBytes: 2n ** 63n }],
])('a disk with %s is INVALID_ARGUMENT', async (...[, wrong]) => {
  const { client } = await listening(new Stages());
  expect(await refusal(client.heartbeat({ uuid, disks: [wrong] }))).toMatchObject({ code: status.INVALID_ARGUMENT });
});

test('a heartbeat renews the token and moves PowerCycle', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  expect(await client.heartbeat({ uuid })).toMatchObject({ token: 'fresh', stop: false });
  expect(named(stages, 'wiping')).toHaveLength(1);
});

test('addresses are written once, and not again when they are the same', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  const address = [{ type: 'InternalIP', address: '10.0.0.7' }];
  await client.reconcileServerAddresses({ uuid, address });
  await client.reconcileServerAddresses({ uuid, address });
  expect(stages.server.status?.addresses).toEqual(address);
  expect(named(stages, 'change').map(([, , wrote]) => wrote)).toEqual([true, false]);
});

test('a BMC login is kept in a Secret that goes with the Server, and in no log line', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  await client.updateBMCInfo({ uuid, bmcInfo: { ip: '10.0.9.1', port: 6230 } });
  await client.updateBMCInfo({ uuid, bmcInfo: { user: 'sidero', pass: 'hunter2hunter2hu' } });
  await client.updateBMCInfo({ uuid, bmcInfo: { user: 'sidero', pass: 'anotherpassword!' } });
  expect(stages.server.spec?.bmc).toMatchObject({
    endpoint: '10.0.9.1',
    port: 6230,
    userFrom: { secretKeyRef: { name: `${uuid}-bmc`, key: 'user' } },
  });
  const secret = stages.secrets.get(`${uuid}-bmc`);
  expect(secret?.metadata).toMatchObject({
    namespace: 'default',
    labels: { 'clusterctl.cluster.x-k8s.io/move': '' },
    ownerReferences: [{ kind: 'Server', uid: 'u1', controller: true }],
  });
  expect(Buffer.from(secret?.data?.['pass'] ?? '', 'base64').toString()).toBe('anotherpassword!');
  expect(stages.lines.join('')).not.toMatch(/hunter2|anotherpassword/);
});

test('a failure of the machine becomes an Event of its Server', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  await client.reportFailure({ uuid, stage: 'network', message: 'no DHCP answer on eth0' });
  expect(named(stages, 'record')[0]?.[1]).toMatchObject({ type: 'Warning', reason: 'Agent Failure', message: 'network: no DHCP answer on eth0' });
});

test('a call without a valid token is UNAUTHENTICATED, with code and next step', async () => {
  const stages = new Stages();
  const { target } = await listening(stages);
  using client = agentClient({ target, token: 'wrong' });
  const error = await refusal(client.markServerAsWiped({ uuid }));
  expect(error).toMatchObject({ code: status.UNAUTHENTICATED, details: expect.stringContaining('SIDERO_BOOT_TOKEN_INVALID') });
  expect(nextStepOf(error.metadata)).toContain('power-cycle the machine');
  expect(named(stages, 'wiped')).toEqual([]);
});

test.each([
  ['NOT_FOUND', failure('SIDERO_RESOURCE_MISSING', { kind: 'Server', name: uuid })],
  ['ABORTED', failure('SIDERO_RESOURCE_CONFLICT', { kind: 'Server', name: uuid })],
  ['UNAVAILABLE', failure('SIDERO_RESOURCE_UNREACHABLE', { verb: 'get', kind: 'Server', server: 'https://x', cause: new Error('down') })],
  ['RESOURCE_EXHAUSTED', failure('SIDERO_RESOURCE_FAILED', { verb: 'get', kind: 'Server', name: uuid, status: 429, reason: 'slow down' })],
] as const)('the machine is told %s', async (name, thrown) => {
  const stages = new Stages();
  const { client } = await listening(stages);
  stages.fail = thrown;
  expect(await refusal(client.markServerAsWiped({ uuid }))).toMatchObject({ code: status[name] });
});

test('a fault of ours is INTERNAL without its text, and the next call is served', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  stages.fail = new TypeError('secret detail');
  const error = await refusal(client.markServerAsWiped({ uuid }));
  expect(error.code).toBe(status.INTERNAL);
  expect(error.details).not.toContain('secret detail');
  expect(stages.lines.join('')).toContain('secret detail');
  stages.fail = undefined;
  await client.markServerAsWiped({ uuid });
});

test.each([
  ['no hardware', {}],
  ['no UUID', { hardware: { system: {} } }],
  ['something that is no UUID', { hardware: { system: { uuid: '../servers' } } }],
])('a registration with %s is INVALID_ARGUMENT', async (_what, request) => {
  const { client } = await listening(new Stages());
  expect(await refusal(client.createServer(request))).toMatchObject({ code: status.INVALID_ARGUMENT });
});

test('bytes that are no protobuf end that call only', async () => {
  const { client, target } = await listening(new Stages());
  const raw = new Client(target, credentials.createInsecure());
  closing.push(() => raw.close());
  const garbage = new Promise((resolve, reject) => {
    raw.makeUnaryRequest(
      '/api.Agent/CreateServer',
      () => Buffer.from([0xff, 0xff, 0xff]),
      () => undefined,
      {},
      new Metadata(),
      (error, value) => (error ? reject(error) : resolve(value)),
    );
  });
  await expect(garbage).rejects.toMatchObject({ code: status.INTERNAL });
  await client.markServerAsWiped({ uuid });
});

test('an aborted call ends at once with the reason', async () => {
  const stages = new Stages();
  const { client } = await listening(stages);
  const abort = new AbortController();
  const reason = new Error('stopping');
  abort.abort(reason);
  await expect(client.heartbeat({ uuid }, { signal: abort.signal })).rejects.toBe(reason);
});

test('autoAccept is a yes for every server; without it the plugin has no opinion', async () => {
  const opinion = async (options: Partial<AgentOptions>) => {
    const sidero = sideroOf(new Stages(), () => undefined);
    agent(options).setup(sidero);
    return sidero.hooks.accept.promise({} as Server);
  };
  expect(await opinion({ autoAccept: true })).toMatchObject({ accepted: true });
  expect(await opinion({})).toBeUndefined();
});

test('the variables of the original set the options', () => {
  expect(agent().options.settings).toEqual({
    autoAccept: 'SIDERO_CONTROLLER_MANAGER_AUTO_ACCEPT_SERVERS',
    autoBmcSetup: 'SIDERO_CONTROLLER_MANAGER_AUTO_BMC_SETUP',
    insecureWipe: 'SIDERO_CONTROLLER_MANAGER_INSECURE_WIPE',
  });
});
