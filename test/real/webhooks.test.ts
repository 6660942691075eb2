import type { KubeObject, Server, ServerClass } from '@sidero/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isPossible, type SideroOnKubernetes, startSideroOnKubernetes } from './sidero-on-kubernetes.ts';

const OLD = 'metal.sidero.dev/v1alpha1';
const HUB = 'metal.sidero.dev/v1alpha2';
const CONVERSION_DATA = 'cluster.x-k8s.io/conversion-data';

interface OldServer extends KubeObject {
  spec: Record<string, unknown>;
  status?: object;
}

const uuid = (last: number) => `4c4c4544-0039-3010-8048-b7c04f4332${String(last).padStart(2, '0')}`;

const aServer = (name: string): Server => ({
  apiVersion: HUB,
  kind: 'Server',
  metadata: { name, labels: { rack: 'a1' } },
  spec: {
    accepted: true,
    hostname: 'talos-1',
    strategicPatches: ['machine:\n  network: {}\n'],
    configPatches: [{ op: 'replace', path: '/machine/install', value: { disk: '/dev/sda', wipe: false } }],
    hardware: {
      system: { uuid: name, manufacturer: 'Dell Inc.', productName: 'PowerEdge R640' },
      compute: {
        totalCoreCount: 32,
        processors: [
          { manufacturer: 'Intel', productName: 'Xeon Gold 6130', coreCount: 16 },
          { manufacturer: 'Intel', productName: 'Xeon Gold 6130', coreCount: 16 },
        ],
      },
      memory: { totalSize: '64 GB' },
      network: { interfaces: [{ name: 'eth0', mac: '00:11:22:33:44:55', carrier: true, speedMbps: 25_000, driver: 'ice' }] },
      storage: { devices: [{ deviceName: '/dev/sda', size: 7_681_501_126_656 }] },
    },
  },
});

describe.skipIf(!isPossible)('conversion and validation by a real API server', () => {
  let cluster: SideroOnKubernetes;
  beforeAll(async () => {
    cluster = await startSideroOnKubernetes('webhooks');
  });
  afterAll(() => cluster?.close());

  const oldServer = (name: string) => cluster.get<OldServer>('servers.v1alpha1.metal.sidero.dev', name);
  const hubServer = (name: string) => cluster.get<Server>('servers.v1alpha2.metal.sidero.dev', name);

  describe('a Server that is stored in v1alpha2', () => {
    const name = uuid(1);
    const status = { isClean: true, power: 'off', boot: { id: 'b1', mac: '00:11:22:33:44:55', handedAt: '2026-11-23T10:00:00Z' } };
    beforeAll(async () => {
      await cluster.kubectl(['create', '-f', '-'], aServer(name));
      await cluster.kubectl(['patch', 'server', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]);
    });

    test('is read in v1alpha1', async () => {
      const old = await oldServer(name);
      expect(old.apiVersion).toBe(OLD);
      expect(old.spec).toEqual({
        accepted: true,
        hostname: 'talos-1',
        configPatches: aServer(name).spec!.configPatches,
        system: { manufacturer: 'Dell Inc.', productName: 'PowerEdge R640' },
        cpu: { manufacturer: 'Intel', version: 'Xeon Gold 6130' },
      });
      expect(old.status).toEqual(status);
      expect(JSON.parse(old.metadata.annotations![CONVERSION_DATA]!)).toEqual({ apiVersion: HUB, kind: 'Server', spec: aServer(name).spec, status });
    });

    test('is listed and watched in v1alpha1', async () => {
      const list = JSON.parse(await cluster.kubectl(['get', 'servers.v1alpha1.metal.sidero.dev', '-o', 'json'])) as { items: OldServer[] };
      expect(list.items.map(({ apiVersion }) => apiVersion)).toContain(OLD);
    });

    test.each<[string, () => Promise<unknown>]>([
      [
        'a merge patch',
        () => cluster.kubectl(['patch', 'servers.v1alpha1.metal.sidero.dev', name, '--type=merge', '-p', '{"spec":{"cordoned":true}}']),
      ],
      [
        'a JSON patch',
        () =>
          cluster.kubectl([
            'patch',
            'servers.v1alpha1.metal.sidero.dev',
            name,
            '--type=json',
            '-p',
            '[{"op":"add","path":"/spec/cordoned","value":true}]',
          ]),
      ],
      [
        'a server-side apply',
        () =>
          cluster.kubectl(['apply', '--server-side', '-f', '-'], {
            apiVersion: OLD,
            kind: 'Server',
            metadata: { name },
            spec: { accepted: true, cordoned: true },
          }),
      ],
      [
        'an object read, changed and put back',
        async () => {
          const old = await oldServer(name);
          await cluster.kubectl(['replace', '-f', '-'], { ...old, spec: { ...old.spec, cordoned: true } });
        },
      ],
    ])('loses nothing by %s through v1alpha1', async (_, write) => {
      await write();
      const { spec, metadata, status: after } = await hubServer(name);
      expect(spec).toEqual({ ...aServer(name).spec, cordoned: true });
      expect(after).toEqual(status);
      expect(metadata.annotations ?? {}).not.toHaveProperty([CONVERSION_DATA]);
      await cluster.kubectl(['patch', 'server', name, '--type=merge', '-p', '{"spec":{"cordoned":null}}']);
    });

    test('loses nothing when its status is written through v1alpha1', async () => {
      await cluster.kubectl([
        'patch',
        'servers.v1alpha1.metal.sidero.dev',
        name,
        '--subresource=status',
        '--type=merge',
        '-p',
        '{"status":{"power":"on"}}',
      ]);
      const { spec, status: after } = await hubServer(name);
      expect(spec).toEqual(aServer(name).spec);
      expect(after).toEqual({ ...status, power: 'on' });
    });

    test('takes an edit of system and cpu over', async () => {
      await cluster.kubectl([
        'patch',
        'servers.v1alpha1.metal.sidero.dev',
        name,
        '--type=merge',
        '-p',
        '{"spec":{"cpu":{"version":"Xeon Gold 6230"}}}',
      ]);
      const { hardware } = (await hubServer(name)).spec!;
      expect(hardware?.compute?.processors?.[0]).toEqual({ manufacturer: 'Intel', productName: 'Xeon Gold 6230', coreCount: 16 });
      expect(hardware?.memory).toEqual({ totalSize: '64 GB' });
    });
  });

  test('a Server made in v1alpha1 by kubectl apply is there in v1alpha2, also after a second apply', async () => {
    const name = uuid(2);
    const manifest = {
      apiVersion: OLD,
      kind: 'Server',
      metadata: { name },
      spec: { accepted: false, cpu: { manufacturer: 'AMD', version: 'EPYC' }, system: { family: 'x' } },
    };
    await cluster.kubectl(['apply', '-f', '-'], manifest);
    await cluster.kubectl(['patch', 'server', name, '--type=merge', '-p', '{"spec":{"strategicPatches":["a: b"]}}']);
    await cluster.kubectl(['apply', '-f', '-'], { ...manifest, spec: { ...manifest.spec, accepted: true } });
    expect((await hubServer(name)).spec).toEqual({
      accepted: true,
      strategicPatches: ['a: b'],
      hardware: { system: { family: 'x' }, compute: { processors: [{ manufacturer: 'AMD', productName: 'EPYC' }] } },
    });
  });

  test('a ServerClass keeps what v1alpha1 cannot show when it is written there', async () => {
    const hardware = [
      { memory: { totalSize: '64 GB' } },
      { system: { manufacturer: 'Dell Inc.' }, compute: { totalCoreCount: 32, processors: [{ productName: 'Xeon Gold 6130' }] } },
    ];
    const qualifiers = { hardware, labelSelectors: [{ rack: 'a1' }] };
    await cluster.kubectl(['create', '-f', '-'], { apiVersion: HUB, kind: 'ServerClass', metadata: { name: 'big' }, spec: { qualifiers } });
    const old = await cluster.get<OldServer>('serverclasses.v1alpha1.metal.sidero.dev', 'big');
    expect(old.spec).toEqual({
      qualifiers: { systemInformation: [{ manufacturer: 'Dell Inc.' }], cpu: [{ version: 'Xeon Gold 6130' }], labelSelectors: [{ rack: 'a1' }] },
    });
    await cluster.kubectl([
      'patch',
      'serverclasses.v1alpha1.metal.sidero.dev',
      'big',
      '--type=merge',
      '-p',
      '{"spec":{"bootFromDiskMethod":"http-404"}}',
    ]);
    expect((await cluster.get<ServerClass>('serverclasses', 'big')).spec).toEqual({ qualifiers, bootFromDiskMethod: 'http-404' });
  });

  test('an Environment made in v1alpha1 is the same in v1alpha2', async () => {
    const spec = { kernel: { url: 'http://a/vmlinuz', args: ['console=tty0'] }, initrd: { url: 'http://a/initramfs.xz', sha512: 'ab' } };
    await cluster.kubectl(['create', '-f', '-'], { apiVersion: OLD, kind: 'Environment', metadata: { name: 'e1' }, spec });
    expect(await cluster.get('environments.v1alpha2.metal.sidero.dev', 'e1')).toMatchObject({ apiVersion: HUB, spec });
  });

  describe('a Server that breaks a rule', () => {
    test.each([OLD, HUB])('is denied in %s in the words of Kubernetes', async (apiVersion) => {
      const name = uuid(3);
      const { code, stderr } = await cluster.attempt(['create', '-f', '-'], {
        apiVersion,
        kind: 'Server',
        metadata: { name },
        spec: { accepted: true, pxeMode: 'bogus' },
      });
      expect(code).not.toBe(0);
      expect(stderr.trim()).toBe(`The Server "${name}" is invalid: spec.pxeMode: Invalid value: "bogus": valid values are: ["" "bios" "uefi"]`);
    });

    test('is told of all rules it breaks', async () => {
      const name = uuid(3);
      const spec = {
        accepted: true,
        bootFromDiskMethod: 'x',
        pxeMode: 'y',
        configPatches: [
          { op: 'add', path: '/a' },
          { op: 'z', path: '/b' },
        ],
      };
      const { stderr } = await cluster.attempt(['create', '-f', '-'], { apiVersion: HUB, kind: 'Server', metadata: { name }, spec });
      expect(stderr.trim().split('\n')).toEqual([
        `The Server "${name}" is invalid: `,
        '* spec.bootFromDiskMethod: Invalid value: "x": valid values are: ["" "ipxe-exit" "http-404" "ipxe-sanboot"]',
        '* spec.pxeMode: Invalid value: "y": valid values are: ["" "bios" "uefi"]',
        '* spec.configPatches.1.op: Invalid value: "z": valid values are: ["add" "copy" "move" "remove" "replace" "test"]',
      ]);
    });

    test('stays as it was when the update is denied, and may be deleted', async () => {
      const name = uuid(4);
      await cluster.kubectl(['create', '-f', '-'], aServer(name));
      const { code } = await cluster.attempt(['patch', 'server', name, '--type=merge', '-p', '{"spec":{"bootFromDiskMethod":"floppy"}}']);
      expect(code).not.toBe(0);
      expect((await hubServer(name)).spec).toEqual(aServer(name).spec);
      await cluster.kubectl(['delete', 'server', name, '--wait=false']);
    });
  });

  test('a conversion that fails says why', async () => {
    const object = {
      apiVersion: OLD,
      kind: 'Server',
      metadata: { name: uuid(5), annotations: { [CONVERSION_DATA]: '{' } },
      spec: { accepted: true },
    };
    const { stderr } = await cluster.attempt(['create', '-f', '-'], object);
    expect(stderr).toMatch(/can't be converted to metal\.sidero\.dev\/v1alpha2: its annotation cluster\.x-k8s\.io\/conversion-data is not JSON/);
  });

  describe('kubectl', () => {
    const columns = async (resource: string) =>
      (await cluster.kubectl(['get', resource, '-o', 'wide']))
        .split('\n')[0]!
        .trim()
        .split(/\s{2,}/);
    test.each(['servers.v1alpha1.metal.sidero.dev', 'servers.v1alpha2.metal.sidero.dev'])('shows the columns of %s', async (resource) => {
      expect(await columns(resource)).toEqual(['NAME', 'HOSTNAME', 'BMC IP', 'ACCEPTED', 'CORDONED', 'ALLOCATED', 'CLEAN', 'POWER', 'AGE']);
    });

    test('explains an added field', async () => {
      expect(await cluster.kubectl(['explain', 'server.spec.hardware.network.interfaces.speedMbps'])).toMatch(/Link speed in Mbit\/s/);
    });
  });
});
