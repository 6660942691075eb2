import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bootstrapScript, renderBootScript, renderWaitScript } from './script.ts';

describe('the first script', () => {
  const script = bootstrapScript('172.25.0.2:8081');

  test('asks /ipxe with the names of the original and values that are safe in a URL', () => {
    expect(script).toContain(
      'chain --replace http://172.25.0.2:8081/ipxe?uuid=${uuid}&mac=${net${idx}/mac:hexhyp}&domain=${domain:uristring}&hostname=${hostname:uristring}&serial=${serial:uristring}&arch=${buildarch} || goto next_iface\n',
    );
  });

  test('has every label that it goes to', () => {
    const labels = new Set(script.match(/^:\w+/gm)?.map((label) => label.slice(1)));
    for (const [, target] of script.matchAll(/goto (\w+)/g)) expect(labels).toContain(target);
    expect(script.startsWith('#!ipxe\n')).toBe(true);
  });

  test('fits into the space iPXE builds reserve, for the longest address', () => {
    expect(bootstrapScript('[2001:0470:006d:030e:e5b8:903e:3701:7332]:65535').length).toBeLessThan(1000);
  });
});

describe('the script of a plan', () => {
  const plan = { target: 'environment', environment: 'default', reason: '', args: ['console=tty0', 'talos.config=http://x/?uuid=${uuid}'] } as const;

  test('boots kernel and initial RAM disk with the arguments as they are', () => {
    expect(renderBootScript(plan)).toBe(
      '#!ipxe\nkernel /env/default/vmlinuz  console=tty0 talos.config=http://x/?uuid=${uuid}\ninitrd /env/default/initramfs.xz\nboot\n',
    );
  });

  test('without arguments is still four lines', () => {
    expect(renderBootScript({ ...plan, args: [] })).toBe('#!ipxe\nkernel /env/default/vmlinuz \ninitrd /env/default/initramfs.xz\nboot\n');
  });
});

describe('the script of a machine that has to wait', () => {
  const again = { authority: '[fd00::1]:8081', query: { uuid: 'u', mac: '52:54:00:12:34:56', arch: 'amd64' }, seconds: 10 } as const;

  test('shows the reason and asks again', () => {
    expect(renderWaitScript('environment "x" is not ready', again)).toBe(
      '#!ipxe\n:again\necho environment x is not ready\necho Asking again in 10 seconds...\nsleep 10\nchain --replace http://[fd00::1]:8081/ipxe?uuid=u&mac=52-54-00-12-34-56&arch=x86_64 || goto again\n',
    );
  });

  test('no reason becomes a statement of its own', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (reason) => {
        const echo = renderWaitScript(`a\nreboot || shell ; \${x}${reason}`, again).split('\n');
        expect(echo).toHaveLength(7);
        expect(echo[2]).toMatch(/^echo [^"'`$\\{}&|;#\n]*$/);
      }),
    );
  });
});
