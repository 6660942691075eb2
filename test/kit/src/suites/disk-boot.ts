import type { BootFacts, DiskBoot } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { aBinding, aServer, aServerClass } from '../fixtures.ts';
import type { IpxeHost, IpxeOutcome } from '../machine/ipxe/command.ts';
import { runIpxe } from '../machine/ipxe/interpreter.ts';
import { textSetting } from '../machine/ipxe/settings.ts';

const FACTS: Readonly<Record<string, BootFacts>> = {
  'an installed server of a class': { server: aServer(), binding: aBinding(), serverClass: aServerClass() },
  'an installed server without a class': { server: aServer(), binding: aBinding(), serverClass: undefined },
  'a server whose objects are gone': { server: undefined, binding: undefined, serverClass: undefined },
};

/** iPXE on a machine that is sent to its disk; whatever it fetches besides the answer is noted, and missing. */
function aMachine(platform: string, { body, fetched }: { readonly body: string; readonly fetched: string[] }): IpxeHost {
  return {
    settings: { platform: textSetting(platform) },
    fetch: async (url) => {
      fetched.push(url.pathname);
      return fetched.length === 1 ? Buffer.from(body) : undefined;
    },
    configure: async () => true,
    sleep: async () => undefined,
    print: () => undefined,
    signal: AbortSignal.timeout(5000),
  };
}

async function outcomeOn(platform: 'pcbios' | 'efi', body: string): Promise<IpxeOutcome> {
  const fetched: string[] = [];
  const outcome = await runIpxe(aMachine(platform, { body, fetched }), new URL('http://127.0.0.1/ipxe'));
  expect(fetched).toEqual(['/ipxe']);
  expect(['disk', 'exit']).toContain(outcome.action);
  return outcome;
}

/** What every way to boot from disk must do: leave iPXE, by a script that ends it or by an answer that makes it give up. */
export function describeDiskBoot(name: string, diskBoot: DiskBoot): void {
  describe(`disk boot ${name}`, () => {
    test('is registered under the name that bootFromDiskMethod uses', () => {
      expect(diskBoot.name).toBe(name);
      expect(name).toMatch(/^[a-z][a-z0-9-]*$/);
    });

    for (const [who, facts] of Object.entries(FACTS)) {
      test(`${who} leaves iPXE without loading anything more`, async () => {
        const { status, body } = diskBoot.answer(facts);
        if (status !== 200) return expect(status).toBeGreaterThanOrEqual(400);
        const outcome = await outcomeOn('pcbios', body);
        if (outcome.action === 'exit') expect(outcome.status).toBe(0);
        // UEFI goes on to the disk only after an error.
        const onUefi = await outcomeOn('efi', body);
        if (onUefi.action === 'exit') expect(onUefi.status).not.toBe(0);
      });
    }

    test('answers the same facts the same way', () => {
      const [facts] = Object.values(FACTS);
      expect(diskBoot.answer(facts!)).toEqual(diskBoot.answer(facts!));
    });
  });
}
