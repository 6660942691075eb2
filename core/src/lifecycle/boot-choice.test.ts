import { describe, expect, test } from 'vitest';
import type { BootFacts } from '../hooks.ts';
import type { Environment, Server, ServerBinding, ServerClass } from '../resources/kinds.ts';
import { type BootSettings, checked, chooseTarget, isReady, neededServerClass, planAgent, planEnvironment } from './boot-choice.ts';

const metadata = { name: '4c4c4544-0039-3010-8048-b7c04f384432' };
const settings: BootSettings = { authority: '172.25.0.2:8081', extraAgentArgs: '', bootFromDiskMethod: 'ipxe-exit' };

function aServer(spec: Partial<NonNullable<Server['spec']>> = {}, conditions: readonly string[] = []): Server {
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata,
    spec: { accepted: true, ...spec },
    status: { ready: true, conditions: conditions.map((type) => ({ type, status: 'False', lastTransitionTime: '2026-01-01T00:00:00Z' })) },
  } as Server;
}

function aBinding(serverClass?: string): ServerBinding {
  return {
    kind: 'ServerBinding',
    metadata,
    spec: { metalMachineRef: {}, ...(serverClass && { serverClassRef: { name: serverClass } }) },
  } as unknown as ServerBinding;
}

function aClass(spec: Partial<NonNullable<ServerClass['spec']>> = {}): ServerClass {
  return { kind: 'ServerClass', metadata: { name: 'class' }, spec: { qualifiers: {}, ...spec } } as unknown as ServerClass;
}

const none = undefined;
const ref = (name: string) => ({ environmentRef: { name } });

describe('what a machine boots', () => {
  const rows: [string, BootFacts, object][] = [
    ['unknown: the agent', { server: none, binding: none, serverClass: none }, { target: 'agent' }],
    ['unknown though a binding exists: the agent', { server: none, binding: aBinding(), serverClass: none }, { target: 'agent' }],
    ['not accepted: the agent', { server: aServer({ accepted: false }), binding: none, serverClass: none }, { target: 'agent' }],
    ['free: the agent', { server: aServer(), binding: none, serverClass: none }, { target: 'agent' }],
    ['free with an environment of its own: the agent', { server: aServer(ref('e')), binding: none, serverClass: none }, { target: 'agent' }],
    ['free after an installation: the agent', { server: aServer({}, ['PXEBooted']), binding: none, serverClass: none }, { target: 'agent' }],
    ['allocated: the default environment', { server: aServer(), binding: aBinding(), serverClass: none }, { target: 'environment', name: 'default' }],
    [
      'allocated and cordoned: the same',
      { server: aServer({ cordoned: true }), binding: aBinding(), serverClass: none },
      { target: 'environment', name: 'default' },
    ],
    [
      'environment of the class',
      { server: aServer(), binding: aBinding('class'), serverClass: aClass(ref('c')) },
      { target: 'environment', name: 'c' },
    ],
    ['class without one', { server: aServer(), binding: aBinding('class'), serverClass: aClass() }, { target: 'environment', name: 'default' }],
    [
      'environment of the server wins',
      { server: aServer(ref('s')), binding: aBinding('class'), serverClass: none },
      { target: 'environment', name: 's' },
    ],
    ['class is gone', { server: aServer(), binding: aBinding('class'), serverClass: none }, { target: 'wait', status: 404 }],
    [
      'installed, whatever the condition says: disk',
      { server: aServer({}, ['PXEBooted']), binding: aBinding(), serverClass: none },
      { target: 'disk', method: 'ipxe-exit' },
    ],
    [
      'installed, always by network',
      { server: aServer({ pxeBootAlways: true }, ['PXEBooted']), binding: aBinding(), serverClass: none },
      { target: 'environment', name: 'default' },
    ],
    [
      'other conditions mean nothing',
      { server: aServer({}, ['PowerCycle']), binding: aBinding(), serverClass: none },
      { target: 'environment', name: 'default' },
    ],
    [
      'installed, class is gone',
      { server: aServer({}, ['PXEBooted']), binding: aBinding('class'), serverClass: none },
      { target: 'wait', status: 500 },
    ],
    [
      'installed, class is gone, server knows',
      { server: aServer({ bootFromDiskMethod: 'http-404' }, ['PXEBooted']), binding: aBinding('class'), serverClass: none },
      { target: 'disk', method: 'http-404' },
    ],
    [
      'method of the class',
      { server: aServer({}, ['PXEBooted']), binding: aBinding('class'), serverClass: aClass({ bootFromDiskMethod: 'ipxe-sanboot' }) },
      { target: 'disk', method: 'ipxe-sanboot' },
    ],
    [
      'an empty method is none',
      { server: aServer({ bootFromDiskMethod: '' }, ['PXEBooted']), binding: aBinding('class'), serverClass: aClass({ bootFromDiskMethod: '' }) },
      { target: 'disk', method: 'ipxe-exit' },
    ],
  ];
  test.each(rows)('%s', (_row, facts, expected) => expect(chooseTarget(facts, settings)).toMatchObject(expected));

  test('the global method is the last resort', () => {
    const facts = { server: aServer({}, ['PXEBooted']), binding: aBinding(), serverClass: none };
    expect(chooseTarget(facts, { bootFromDiskMethod: 'mine' })).toMatchObject({ method: 'mine' });
  });

  test.each([
    ['unknown', { server: none, binding: aBinding('class') }, none],
    ['free', { server: aServer(), binding: none }, none],
    ['allocated without a class', { server: aServer(), binding: aBinding() }, none],
    ['allocated by a class', { server: aServer(), binding: aBinding('class') }, 'class'],
    ['environment of its own', { server: aServer(ref('s')), binding: aBinding('class') }, none],
    ['installed', { server: aServer(ref('s'), ['PXEBooted']), binding: aBinding('class') }, 'class'],
    ['installed, method of its own', { server: aServer({ bootFromDiskMethod: 'x' }, ['PXEBooted']), binding: aBinding('class') }, none],
  ])('the class is read only where it decides: %s', (_case, facts, name) => expect(neededServerClass(facts)).toBe(name));
});

describe('the plan for the agent', () => {
  const machine = { arch: 'amd64' as const, mac: '52:54:00:12:34:56', reason: 'new' };
  const args = (given: Partial<BootSettings> = {}, mac = machine.mac) => {
    const plan = planAgent({ ...machine, mac }, { ...settings, ...given });
    return plan.target === 'agent' ? plan.args.join(' ') : plan.reason;
  };
  const defaults =
    'init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never';

  test('has the arguments of the newest Talos and its own', () => {
    expect(args()).toBe(
      `${defaults} console=tty0 console=ttyS0 initrd=initramfs.xz panic=30 sidero.mac=52:54:00:12:34:56 sidero.endpoint=172.25.0.2:8081`,
    );
  });

  test('has extra arguments laid over', () => {
    expect(args({ extraAgentArgs: 'console=tty1 panic=0 foo' })).toBe(
      `${defaults} console=tty1 initrd=initramfs.xz panic=0 sidero.mac=52:54:00:12:34:56 sidero.endpoint=172.25.0.2:8081 foo`,
    );
  });

  test('without a MAC keeps the key alone', () => expect(args({}, '')).toContain(' sidero.mac sidero.endpoint='));

  test('is refused when an extra argument holds a control character', () => {
    expect(planAgent(machine, { ...settings, extraAgentArgs: 'a=\u0007' })).toMatchObject({ target: 'wait', status: 500 });
  });

  test('has the folder of the architecture', () => {
    expect(planAgent({ ...machine, arch: 'arm64' }, settings)).toMatchObject({ environment: 'agent-arm64' });
  });
});

describe('the plan for an environment', () => {
  const chosen = { name: 'default', reason: 'because' };
  const here = { ready: true } as const;
  const away = { ready: false, reason: 'kernel: 404' } as const;
  function anEnvironment(args: string[], status: string[] = []): Environment {
    return {
      kind: 'Environment',
      metadata: { name: 'default' },
      spec: { kernel: { url: 'http://k', args }, initrd: { url: 'http://i' } },
      status: { conditions: status.map((url) => ({ type: 'Ready', status: 'True', url })) },
    } as Environment;
  }

  test('has the arguments of the object, unchanged', () => {
    expect(planEnvironment(chosen, anEnvironment(['a=1', 'b c']), here)).toEqual({
      target: 'environment',
      environment: 'default',
      args: ['a=1', 'b c'],
      reason: 'because',
    });
  });

  test.each([
    ['missing object', none, here, 404, 'environment "default" does not exist'],
    ['not ready anywhere', anEnvironment([]), away, 412, 'environment "default" is not ready: kernel: 404'],
    ['ready elsewhere', anEnvironment([], ['http://k', 'http://i']), away, 503, 'environment "default" is not ready here: kernel: 404'],
    [
      'a line break in an argument',
      anEnvironment(['ok', 'a\nboot']),
      here,
      500,
      'environment "default": kernel argument 2 ("a\\nboot") holds a control character',
    ],
  ])('is to wait: %s', (...[, environment, local, status, reason]) => {
    expect(planEnvironment(chosen, environment, local)).toEqual({ target: 'wait', status, reason });
  });

  test('an argument that a tap added is checked the same way', () => {
    expect(checked({ target: 'agent', environment: 'agent-amd64', args: ['x\r'], reason: '' })).toMatchObject({ target: 'wait', status: 500 });
    const disk = { target: 'disk', method: 'ipxe-exit', reason: '' } as const;
    expect(checked(disk)).toBe(disk);
  });

  test('is ready when each URL has a true condition', () => {
    expect(isReady(anEnvironment([], ['http://k']))).toBe(false);
    expect(isReady(anEnvironment([], ['http://i', 'http://k']))).toBe(true);
    expect(isReady({ kind: 'Environment', apiVersion: 'metal.sidero.dev/v1alpha2', metadata: { name: 'x' } })).toBe(true);
  });
});
