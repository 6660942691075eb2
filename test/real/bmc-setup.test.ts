import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CoreV1Api, CustomObjectsApi, KubeConfig, setHeaderOptions } from '@kubernetes/client-node';
import { type BmcProcess, ipmiSimSupport, MemoryChassis, startIpmiSim } from '@sidero/testing/bmc';
import { createNetwork, type Machine, type Network, qemuSupport, startMachine } from '@sidero/testing/qemu';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AGENT_IMAGE, type Site, startSite } from './pxe-site.ts';

const isPossible = qemuSupport(['bios']).length === 0 && ipmiSimSupport().length === 0 && existsSync(AGENT_IMAGE);

const uuid = '4c4c4544-0042-4a10-8054-b3c0ffee0001';
const secret = { namespace: 'default', name: `${uuid}-bmc` };
const BMC = { address: '10.77.0.9', port: 623, systemPort: 9001 };

describe.skipIf(!isPossible)('a machine with a BMC that nobody has a login on', () => {
  const stack = new AsyncDisposableStack();
  let network: Network;
  let site: Site;
  let bmc: BmcProcess;
  let machine: Machine;
  let kube: KubeConfig;

  beforeAll(async () => {
    network = stack.use(await createNetwork());
    const host = await network.addHost(BMC.address);
    bmc = stack.use(await startIpmiSim({ chassis: new MemoryChassis({ isOn: true }), space: host, ...BMC }));
    site = stack.use(await startSite(network, { mode: 'full', range: ['10.77.0.50', '10.77.0.250'] }));
    kube = new KubeConfig();
    kube.loadFromString(await readFile(site.plane.kubeconfig, 'utf8'));
    const identity = { name: 'bmc', firmware: 'bios', uuid, mac: '52:54:00:77:00:09', serial: 'SN-0815' } as const;
    machine = stack.use(await startMachine(network, { ...identity, bmc: { address: BMC.address, port: BMC.systemPort } }));
  });

  afterAll(() => stack.disposeAsync());

  /** The login as the Secret has it; waits until it is another than `before`. */
  async function login(before?: string): Promise<{ user: string; pass: string }> {
    const text = (value: string | undefined) => Buffer.from(value ?? '', 'base64').toString();
    try {
      return await vi.waitFor(
        async () => {
          const { data } = await kube.makeApiClient(CoreV1Api).readNamespacedSecret(secret);
          const found = { user: text(data?.['user']), pass: text(data?.['pass']) };
          expect(found.pass).not.toBe(before ?? '');
          return found;
        },
        { timeout: 200_000, interval: 500 },
      );
    } catch (cause) {
      const ends = [machine, site.plane, { name: 'bmc', lines: bmc.lines }].map(({ name, lines }) => `--- ${name}\n${lines.slice(-40).join('\n')}`);
      throw new Error(`there is no login:\n${ends.join('\n')}`, { cause });
    }
  }

  /** What ipmitool gets, from another host, for a command given with this login. */
  function fromOutside({ user, pass }: { user: string; pass: string }, ...command: string[]): Promise<string> {
    const where = ['-I', 'lanplus', '-C', '3', '-H', BMC.address, '-p', String(BMC.port)];
    return network.run(['ipmitool', ...where, '-U', user, '-P', pass, ...command]);
  }

  test('its agent makes one, which works from outside, as administrator', async () => {
    const made = await login();
    expect(made).toEqual({ user: 'sidero', pass: expect.stringMatching(/^[a-zA-Z0-9]{16}$/) });
    expect(await fromOutside(made, 'chassis', 'power', 'status')).toContain('Chassis Power is on');
    expect(await fromOutside(made, 'user', 'list', '1')).toMatch(/sidero .*ADMINISTRATOR/);
  });

  test('the Server says where it is and where its login is kept', async () => {
    // The Secret comes first, so that a reference always leads somewhere.
    await expect
      .poll(async () => (await site.server(uuid))?.spec?.bmc)
      .toEqual({
        endpoint: BMC.address,
        port: BMC.port,
        userFrom: { secretKeyRef: { ...secret, key: 'user' } },
        passFrom: { secretKeyRef: { ...secret, key: 'pass' } },
      });
  });

  test('a lost Secret is made again, with a new password for the same user', async () => {
    const before = await login();
    await kube.makeApiClient(CoreV1Api).deleteNamespacedSecret(secret);
    const after = await login(before.pass);
    expect(await fromOutside(after, 'chassis', 'power', 'status')).toContain('Chassis Power is on');
    await expect(fromOutside(before, 'chassis', 'power', 'status')).rejects.toThrow();
    expect((await fromOutside(after, 'user', 'list', '1')).match(/sidero/g)).toHaveLength(1);
  });

  test('credentials that were taken out of the Server are made again', async () => {
    const before = await login();
    const server = { group: 'metal.sidero.dev', version: 'v1alpha2', plural: 'servers', name: uuid };
    const patch = setHeaderOptions('Content-Type', 'application/merge-patch+json');
    await kube.makeApiClient(CustomObjectsApi).patchClusterCustomObject({ ...server, body: { spec: { bmc: null } } }, patch);
    const after = await login(before.pass);
    expect(await fromOutside(after, 'chassis', 'power', 'status')).toContain('Chassis Power is on');
  });

  test('no password is on the console of the machine or in a log', async () => {
    const { pass } = await login();
    expect([...machine.lines, ...site.plane.lines].join('\n')).not.toContain(pass);
  });
});
