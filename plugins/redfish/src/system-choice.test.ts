import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aDriver, aServerWith, signal, UUID } from './driver.fixture.ts';
import { aSystem, FakeService, LOGIN } from './fake-service.fixture.ts';

const OTHER = '11111111-1111-4111-8111-000000000001';

let service: FakeService;
beforeEach(async () => {
  service = await new FakeService().listen();
  service.systems.clear();
});
afterEach(() => service[Symbol.asyncDispose]());

async function chosen(name = UUID, serial = 'SN-1'): Promise<string | undefined> {
  await using session = await aDriver().open(aServerWith({ endpoint: service.url }, { name, serial }), { login: LOGIN, signal });
  return (await session.probe?.(signal))?.['System'];
}

describe('of several systems', () => {
  test('that with the UUID of the Server is taken', async () => {
    service.systems.set('a', aSystem({ UUID: OTHER })).set('b', aSystem({ UUID: UUID.toUpperCase() }));
    expect(await chosen()).toBe('/redfish/v1/Systems/b, by UUID');
  });

  test('that with its serial number, when no UUID fits', async () => {
    service.systems.set('a', aSystem({ UUID: OTHER, SerialNumber: 'SN-2' })).set('b', aSystem({ UUID: undefined, SerialNumber: 'sn-1 ' }));
    expect(await chosen()).toBe('/redfish/v1/Systems/b, by serial number');
  });

  test('none when two have its serial number, and the error names them', async () => {
    service.systems.set('a', aSystem({ UUID: OTHER })).set('b', aSystem({ UUID: OTHER }));
    await expect(chosen()).rejects.toMatchObject({
      code: 'SIDERO_BMC_UNSUPPORTED',
      message: expect.stringContaining(`${OTHER}, ${OTHER}`),
    });
  });

  test('none when none fits, and an empty serial number fits none', async () => {
    service.systems.set('a', aSystem({ UUID: OTHER, SerialNumber: '' })).set('b', aSystem({ UUID: OTHER, SerialNumber: 'SN-2' }));
    await expect(chosen(UUID, '')).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
  });
});

test('the only system is not taken when UUID and serial number both tell that it is another machine', async () => {
  service.systems.set('a', aSystem({ UUID: OTHER, SerialNumber: 'SN-2' }));
  await expect(chosen()).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED', message: expect.stringContaining(OTHER) });
});

test('the only system is taken when it does not say clearly that it is another', async () => {
  service.systems.set('a', aSystem({ UUID: OTHER, SerialNumber: undefined }));
  expect(await chosen()).toBe('/redfish/v1/Systems/a, by the only one');
});

test('a service without systems is unsupported, and its session is ended', async () => {
  await expect(chosen()).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED', message: expect.stringContaining('none at all') });
  expect(service.whats('DELETE')).toHaveLength(1);
});

test('systems are looked for on every page', async () => {
  service.systems.set('a', aSystem({ UUID: OTHER })).set('b', aSystem());
  const first = { Members: [{ '@odata.id': '/redfish/v1/Systems/a' }], 'Members@odata.nextLink': '/redfish/v1/Systems?$skip=1' };
  service.answer('GET /redfish/v1/Systems', 200, { body: first });
  service.answer('GET /redfish/v1/Systems?$skip=1', 200, { body: { Members: [{ '@odata.id': '/redfish/v1/Systems/b' }] } });
  expect(await chosen()).toBe('/redfish/v1/Systems/b, by UUID');
});

test('pages that never end are left', async () => {
  service.answer('GET /redfish/v1/Systems', 200, { body: { Members: [], 'Members@odata.nextLink': '/redfish/v1/Systems' } });
  await expect(chosen()).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
  expect(service.whats('GET /redfish/v1/Systems').length).toBeLessThan(20);
});
