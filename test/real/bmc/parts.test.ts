import { MemoryChassis, pythonSupport, startActingRedfish, startPyghmiBmc, startSushyEmulator } from '@sidero/testing/bmc';
import { Agent, fetch, type RequestInit } from 'undici';
import { describe, expect, test } from 'vitest';
import { ipmitool } from './clients.ts';

const system = { uuid: '11111111-1111-4111-8111-000000000001', name: 'node1', serial: 'S1' };
const path = `/redfish/v1/Systems/${system.uuid}`;
const basic = { authorization: `Basic ${btoa('admin:secret')}` };

/** Calls a Redfish service, whose certificate is verified. */
function client({ url, ca }: { url: string; ca: string | undefined }) {
  const dispatcher = new Agent({ connect: ca ? { ca } : {} });
  const call = async (where: string, init: RequestInit & { json?: object } = {}) => {
    const { json, ...rest } = init;
    const body = json ? { body: JSON.stringify(json) } : {};
    const headers = { ...(json && { 'content-type': 'application/json' }), ...(init.headers as Record<string, string>) };
    const answer = await fetch(url + where, { ...rest, ...body, headers, dispatcher });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: (text ? JSON.parse(text) : undefined) as Record<string, unknown> | undefined };
  };
  return { call, [Symbol.asyncDispose]: () => dispatcher.close() };
}

const boot = (target: string) => ({ Boot: { BootSourceOverrideTarget: target, BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: 'UEFI' } });

describe.skipIf(pythonSupport().length > 0)('BMCs of PyPI', () => {
  test('pyghmi’s keeps boot flags for one boot, and does not cycle what is off', async () => {
    const chassis = new MemoryChassis();
    await using bmc = await startPyghmiBmc({ chassis });
    const run = (...command: string[]) => ipmitool(bmc, command);
    await expect(run('power', 'cycle')).rejects.toThrow(/Command not supported in present state/);
    await run('chassis', 'bootdev', 'pxe', 'options=efiboot');
    expect(await run('raw', '0', '9', '5', '0', '0')).toBe('01 05 a0 04 00 00 00');
    await run('power', 'on');
    expect(await run('raw', '0', '9', '5', '0', '0')).toBe('01 05 00 00 00 00 00');
    await run('power', 'cycle');
    expect(chassis.boots).toMatchObject([{ device: 'network', mode: 'uefi' }, { device: 'normal' }]);
    expect(bmc.control.actions).toEqual(['on', 'cycle']);
  });

  test('sushy-emulator serves its fake systems over TLS, to those who log in', async () => {
    await using service = await startSushyEmulator({ systems: [system] });
    await using redfish = client(service);
    expect((await redfish.call(path)).status).toBe(401);
    expect((await redfish.call(path, { headers: basic })).body).toMatchObject({ UUID: system.uuid, PowerState: 'Off' });
  });

  test('the acting service drives our machine, once as ordered', async () => {
    const chassis = new MemoryChassis();
    await using service = await startActingRedfish({ systems: [{ ...system, chassis }], tls: false });
    await using redfish = client(service);
    const reset = (type: string) =>
      redfish.call(`${path}/Actions/ComputerSystem.Reset`, { method: 'POST', headers: basic, json: { ResetType: type } });
    await redfish.call(path, { method: 'PATCH', headers: basic, json: boot('Pxe') });
    expect((await reset('On')).status).toBe(204);
    expect((await redfish.call(path, { headers: basic })).body).toMatchObject({ PowerState: 'On', Boot: { BootSourceOverrideEnabled: 'Disabled' } });
    await reset('PowerCycle');
    expect(chassis.boots).toMatchObject([{ device: 'network', mode: 'uefi' }, { device: 'normal' }]);
    await reset('ForceOff');
    expect(chassis.isOn()).toBe(false);
    expect(service.controls.get(system.uuid)!.actions).toEqual(['on', 'cycle', 'off']);
  });

  test('the acting service guards changes with ETags', async () => {
    await using service = await startActingRedfish({ systems: [{ ...system, chassis: new MemoryChassis() }], tls: false });
    await using redfish = client(service);
    const etag = (await redfish.call(path, { headers: basic })).headers.get('etag')!;
    const patch = () => redfish.call(path, { method: 'PATCH', headers: { ...basic, 'if-match': etag }, json: boot('Pxe') });
    expect((await patch()).status).toBe(204);
    expect((await patch()).status).toBe(412);
  });

  test('the acting service counts its sessions', async () => {
    await using service = await startActingRedfish({ systems: [{ ...system, chassis: new MemoryChassis() }] });
    await using redfish = client(service);
    const login = (password: string) =>
      redfish.call('/redfish/v1/SessionService/Sessions', { method: 'POST', json: { UserName: 'admin', Password: password } });
    expect((await login('wrong')).status).toBe(401);
    const { headers } = await login('secret');
    const token = { 'x-auth-token': headers.get('x-auth-token')! };
    expect((await redfish.call(path, { headers: token })).status).toBe(200);
    expect(service.sessions.size).toBe(1);
    await redfish.call(headers.get('location')!, { method: 'DELETE', headers: token });
    expect(service.sessions.size).toBe(0);
    expect((await redfish.call(path, { headers: token })).status).toBe(401);
  });
});
