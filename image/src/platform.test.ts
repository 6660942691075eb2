import { describe, expect, test } from 'vitest';
import { platformOf, runsOn } from './platform.ts';

const arm64 = platformOf('linux/arm64');

describe('a platform', () => {
  test('takes the packages that npm would install there', () => {
    expect(runsOn({}, arm64)).toBe(true);
    expect(runsOn({ os: 'linux', cpu: 'arm64' }, arm64)).toBe(true);
    expect(runsOn({ os: ['linux', 'darwin'], cpu: ['arm64'], libc: ['glibc'] }, arm64)).toBe(true);
    expect(runsOn({ os: ['!win32'] }, arm64)).toBe(true);
  });

  test('leaves out those of other systems, processors and C libraries', () => {
    expect(runsOn({ os: ['darwin'], cpu: ['arm64'] }, arm64)).toBe(false);
    expect(runsOn({ os: ['linux'], cpu: ['x64'] }, arm64)).toBe(false);
    expect(runsOn({ os: ['linux'], cpu: ['arm64'], libc: ['musl'] }, arm64)).toBe(false);
    expect(runsOn({ cpu: ['!arm64'] }, arm64)).toBe(false);
  });

  test('that no image is built for is refused', () => {
    expect(() => platformOf('windows/amd64')).toThrow(/windows\/amd64/);
  });
});
