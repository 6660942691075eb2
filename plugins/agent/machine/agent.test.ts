import { Metadata, Server, ServerCredentials, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  Agent,
  agentClient,
  type CreateServerRequest,
  type CreateServerResponse,
  type ReportFailureRequest,
  serviceDefinition,
} from '@sidero/plugin-agent/protocol';
import { afterEach, expect, test } from 'vitest';
import { runAgent } from './agent.ts';
import { aBmc } from './bmc.fixture.ts';
import { aMachine, aSystem, type MachineFixture, SMBIOS_3_2 } from './machine.fixture.ts';
import type { Machine } from './machine.ts';

const uuid = '33221100-5544-7766-8899-aabbccddeeff';
const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

type Answer = Partial<CreateServerResponse> | { code: status; details: string; next?: string };

/** A management plane that gives these answers to CreateServer, the last one again and again. */
class Plane {
  readonly calls: { method: string; request: unknown; token: unknown }[] = [];
  target = '';
  readonly answers: Answer[];

  constructor(...answers: Answer[]) {
    this.answers = answers;
  }

  async listen(): Promise<this> {
    const server = new Server();
    const methods = Agent.methods.map(({ localName, output }) => {
      const method = (call: { request: unknown; metadata: Metadata }, done: (error: object | null, answer?: object) => void) => {
        this.calls.push({ method: localName, request: call.request, token: call.metadata.get('sidero-token')[0] });
        const answer = localName === 'createServer' ? (this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!) : {};
        if (!('code' in answer)) return done(null, { $typeName: output.typeName, ...answer });
        const metadata = new Metadata();
        if (answer.next) metadata.set('sidero-next-bin', Buffer.from(answer.next));
        done({ ...answer, metadata });
      };
      return [localName, method] as const;
    });
    server.addService(serviceDefinition(Agent), Object.fromEntries(methods) as unknown as UntypedServiceImplementation);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
    );
    closing.push(() => server.forceShutdown());
    this.target = `127.0.0.1:${port}`;
    return this;
  }

  requests<T>(method: string): T[] {
    return this.calls.filter((call) => call.method === method).map(({ request }) => request as T);
  }
}

function bootedMachine(target: string, overrides: Partial<Machine> = {}): MachineFixture {
  const machine = aMachine(
    {
      '/proc/cmdline': `sidero.mac=52:54:00:00:00:01 sidero.endpoint=${target} sidero.token=first`,
      '/proc/sys/kernel/hostname': '(none)',
      '/sys/firmware/dmi/tables/smbios_entry_point': SMBIOS_3_2,
      '/sys/firmware/dmi/tables/DMI': aSystem('00112233445566778899aabbccddeeff'),
      '/sys/class/net/eth0/type': '1',
      '/sys/class/net/eth0/device/vendor': '0x8086',
      '/sys/class/net/eth0/address': '52:54:00:00:00:01',
    },
    {
      // The DHCP server answers at once.
      keepRunning: ({ onLine }) => ['sidero:ip=127.0.0.9', 'sidero:mask=8', 'sidero:event=bound'].forEach(onLine),
      ...overrides,
    },
  );
  machine.addressed = { eth0: ['10.0.0.7/24'] };
  return machine;
}

const run = (machine: Machine, signal = new AbortController().signal) =>
  runAgent(machine, { version: '0.1.0', signal, connect: (target, token) => agentClient({ target, token }) });

test('a machine registers, tells its addresses, and waits until there is something to boot', async () => {
  const plane = await new Plane(
    { token: 'second', accepted: true, hold: 'the agent cannot wipe' },
    { token: 'third', accepted: true, reboot: true },
  ).listen();
  const machine = bootedMachine(plane.target);
  expect(await run(machine)).toContain('something else to boot');
  const [first] = plane.requests<CreateServerRequest>('createServer');
  expect(first).toMatchObject({
    hostname: '',
    agentVersion: '0.1.0',
    hardware: { system: { uuid, serialNumber: '790H8D2' }, firmware: { bootMode: 'bios' }, bmc: { present: false } },
  });
  expect(plane.requests('reconcileServerAddresses')).toEqual([
    expect.objectContaining({ uuid, address: [expect.objectContaining({ type: 'InternalIP', address: '10.0.0.7' })] }),
  ]);
  expect(plane.calls.map(({ token }) => token)).toEqual(['first', 'second', 'second']);
  expect(machine.said).toContain('accepted, waiting; nothing is wiped: the agent cannot wipe');
});

test('a machine that is not accepted says how to accept it, once', async () => {
  const plane = await new Plane({}, {}, {}, { reboot: true }).listen();
  const machine = bootedMachine(plane.target);
  await run(machine);
  expect(machine.said.filter((line) => line.includes(`kubectl patch server ${uuid}`))).toHaveLength(1);
});

test('addresses are told again when they change', async () => {
  const plane = await new Plane({}, {}, { reboot: true }).listen();
  const machine = bootedMachine(plane.target);
  const { pause } = machine;
  const changed = {
    ...machine,
    pause: async (ms: number, signal: AbortSignal) => {
      if (plane.calls.length === 2) machine.addressed = { eth0: ['10.0.0.8/24'] };
      return pause(ms, signal);
    },
  };
  await run(changed);
  expect(plane.requests<{ address: { address: string }[] }>('reconcileServerAddresses').map(({ address }) => address[0]?.address)).toEqual([
    '10.0.0.7',
    '10.0.0.8',
  ]);
});

test('refusals are said in words with the next step, retried every 30 s, and given up after 5 min', async () => {
  const plane = await new Plane({ code: status.ALREADY_EXISTS, details: 'SIDERO_SERVER_DUPLICATE: refused.', next: 'sidero adopt' }).listen();
  const machine = bootedMachine(plane.target);
  await expect(run(machine)).rejects.toMatchObject({ stage: 'register', message: 'SIDERO_SERVER_DUPLICATE: refused. Next: sidero adopt' });
  expect(plane.requests('createServer')).toHaveLength(11);
  expect(machine.said.filter((line) => line.startsWith('retrying error'))).toEqual([
    'retrying error: SIDERO_SERVER_DUPLICATE: refused. Next: sidero adopt',
  ]);
  expect(plane.requests<ReportFailureRequest>('reportFailure')).toEqual([expect.objectContaining({ uuid, stage: 'register' })]);
});

test('a waiting machine bears the silence of the management plane, more and more slowly', async () => {
  const plane = await new Plane({}, ...Array.from({ length: 12 }, () => ({ code: status.UNAVAILABLE, details: 'down' })), { reboot: true }).listen();
  const machine = bootedMachine(plane.target);
  await run(machine);
  expect(machine.now()).toBeGreaterThan(12 * 60_000);
  expect(machine.said.filter((line) => line.includes('no answer from the management plane'))).toHaveLength(1);
});

test('a waiting machine whose token is refused for 5 min boots again', async () => {
  const plane = await new Plane({}, { code: status.UNAUTHENTICATED, details: 'SIDERO_BOOT_TOKEN_INVALID: ended.' }).listen();
  await expect(run(bootedMachine(plane.target))).rejects.toMatchObject({ stage: 'register', message: 'SIDERO_BOOT_TOKEN_INVALID: ended.' });
});

test.each([
  ['kernel arguments', 'no endpoint found', (machine: MachineFixture) => machine.files.set('/proc/cmdline', 'quiet')],
  ['smbios', 'no SMBIOS tables', (machine: MachineFixture) => machine.files.delete('/sys/firmware/dmi/tables/DMI')],
  ['smbios', 'no system UUID', (machine: MachineFixture) => machine.files.set('/sys/firmware/dmi/tables/DMI', Buffer.from([1, 4, 0, 0, 0, 0]))],
])('%s: a machine with %s gives up at once', async (stage, problem, spoil) => {
  const machine = bootedMachine('127.0.0.1:1');
  spoil(machine);
  await expect(run(machine)).rejects.toMatchObject({ stage, message: expect.stringContaining(problem) });
});

test('a machine that is asked to sets up its BMC, but not while there is something to wipe', async () => {
  const asked = { accepted: true, setupBmc: true, bmcUser: 'ops' };
  const plane = await new Plane({ ...asked, wipe: true }, asked, { reboot: true }).listen();
  const bmc = aBmc();
  const machine = bootedMachine(plane.target, { ipmi: bmc.ipmi });
  await run(machine);
  const order = plane.calls.map(({ method }) => method).filter((method) => method !== 'reconcileServerAddresses');
  expect(order).toEqual(['createServer', 'heartbeat', 'markServerAsWiped', 'createServer', 'updateBMCInfo', 'updateBMCInfo', 'createServer']);
  expect(plane.requests('createServer')[0]).toMatchObject({ capabilities: expect.arrayContaining(['bmc-setup']) });
  const { pass } = bmc.users.get(3)!;
  expect(plane.requests('updateBMCInfo')[1]).toMatchObject({ uuid, bmcInfo: { ip: '10.0.9.1', port: 623, user: 'ops', pass } });
});

test('a login on the BMC is not made anew while the management plane is silent', async () => {
  const silent = { code: status.UNAVAILABLE, details: 'down' };
  const plane = await new Plane({ accepted: true, setupBmc: true, bmcUser: '' }, silent, silent, { reboot: true }).listen();
  await run(bootedMachine(plane.target, { ipmi: aBmc().ipmi }));
  expect(plane.requests('updateBMCInfo')).toHaveLength(2);
});

test('the agent stops when it is told to', async () => {
  const plane = await new Plane({ accepted: true }).listen();
  const abort = new AbortController();
  const machine = bootedMachine(plane.target, { say: (line) => line.startsWith('accepted') && abort.abort(new Error('stop')) });
  await expect(run(machine, abort.signal)).rejects.toThrow('stop');
});
