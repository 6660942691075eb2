import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { file_agent } from './agent_pb.ts';

const root = new URL('../../..', import.meta.url).pathname;

test('the generated code is that of agent.proto', { timeout: 60_000 }, async () => {
  const out = await mkdtemp(join(tmpdir(), 'agent-pb-'));
  try {
    const env = { ...process.env, PATH: `${root}node_modules/.bin:${process.env['PATH']}`, BUF_CACHE_DIR: out };
    await promisify(execFile)('buf', ['generate', '--template', 'plugins/agent/buf.gen.yaml', '-o', out, 'plugins/agent'], { cwd: root, env });
    const fresh = await readFile(join(out, 'plugins/agent/src/agent_pb.ts'), 'utf8');
    expect(await readFile(new URL('agent_pb.ts', import.meta.url), 'utf8'), 'stale: npm run types').toBe(fresh);
  } finally {
    await rm(out, { recursive: true });
  }
});

// What the original's agent and server put on the wire.
const original: Record<string, string> = {
  CreateServerRequest: '1 hardware, 3 hostname',
  CreateServerResponse: '1 wipe, 2 insecure_wipe, 3 setup_bmc, 4 reboot_timeout',
  HardwareInformation: '1 system, 2 compute, 3 memory, 4 storage, 5 network',
  SystemInformation: '1 uuid, 2 manufacturer, 3 product_name, 4 version, 5 serial_number, 6 sku_number, 7 family',
  ComputeInformation: '1 total_core_count, 2 total_thread_count, 3 processor_count, 4 processors',
  Processor: '1 manufacturer, 2 product_name, 3 serial_number, 4 speed, 5 core_count, 6 thread_count',
  MemoryInformation: '1 total_size, 2 module_count, 3 modules',
  MemoryModule: '1 manufacturer, 2 product_name, 3 serial_number, 4 type, 5 size, 6 speed',
  StorageInformation: '1 total_size, 2 device_count, 3 devices',
  StorageDevice: '1 type, 2 size, 3 model, 4 serial, 5 name, 6 device_name, 7 uuid, 8 wwid',
  NetworkInformation: '1 interface_count, 2 interfaces',
  NetworkInterface: '1 index, 2 name, 3 flags, 4 mtu, 5 mac, 6 addresses',
  Address: '1 type, 2 address',
  ReconcileServerAddressesRequest: '1 uuid, 2 address',
  ReconcileServerAddressesResponse: '',
  MarkServerAsWipedRequest: '1 uuid',
  MarkServerAsWipedResponse: '',
  HeartbeatRequest: '1 uuid',
  HeartbeatResponse: '',
  UpdateBMCInfoRequest: '1 uuid, 2 bmc_info',
  UpdateBMCInfoResponse: '',
  BMCInfo: '1 ip, 2 port, 3 user, 4 pass',
};

test.each(Object.entries(original))('%s keeps the fields of the original, and adds only from 16 up', (name, fields) => {
  const message = file_agent.messages.find((known) => known.name === name);
  const below16 = message?.fields.filter(({ number }) => number < 16).map((field) => `${field.number} ${field.proto.name}`);
  expect(below16?.join(', ')).toBe(fields);
});

test('the methods have the paths of the original', () => {
  const paths = file_agent.services.flatMap((service) => service.methods.map((method) => `/${service.typeName}/${method.name}`));
  expect(paths).toEqual(expect.arrayContaining(['/api.Agent/CreateServer', '/api.Agent/MarkServerAsWiped', '/api.Agent/Heartbeat']));
  expect(paths).toEqual(expect.arrayContaining(['/api.Agent/ReconcileServerAddresses', '/api.Agent/UpdateBMCInfo']));
});
