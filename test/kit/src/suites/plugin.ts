import { readFile } from 'node:fs/promises';
import { hasCode, type Plugin } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { registrations } from './registrations.ts';

/** A plugin under test. */
export interface PluginCase<O extends object> {
  /** What `definePlugin` returned. */
  readonly plugin: (options: O) => Plugin;
  /** Options that are valid, with every required one. */
  readonly options: O;
  /** Its README, which must name every option and every variable. Default: not checked. */
  readonly readme?: URL | string;
}

/** What every plugin must hold to, ours and a stranger's alike. */
export function describePlugin<O extends object>(name: string, given: PluginCase<O>): void {
  const { plugin, options, readme } = given;
  describe(`plugin ${name}`, () => {
    test('has a lower-case name', () => {
      expect(plugin(options).name).toMatch(/^[a-z][a-z0-9-]*$/);
    });

    test('setup only registers: it opens no socket, starts no timer and no process', () => {
      const before = resources();
      registrations(plugin(options));
      expect(resources()).toEqual(before);
    });

    test('may be set up in two systems of one process', () => {
      const one = plugin(options);
      registrations(one);
      registrations(one);
      registrations(plugin(options));
    });

    test('an unknown option is refused by name', () => {
      const mistaken = { ...options, noSuchOption: true };
      expect(() => registrations(plugin(mistaken))).toThrow(/noSuchOption/);
      try {
        registrations(plugin(mistaken));
      } catch (thrown) {
        expect(hasCode(thrown, 'SIDERO_OPTION_INVALID')).toBe(true);
      }
    });

    test.runIf(readme !== undefined)('its README names every option and every variable', async () => {
      const text = await readFile(readme!, 'utf8');
      const { schema, settings } = plugin(options).options;
      const { properties = {} } = schema as { properties?: Record<string, unknown> };
      const missing = [...Object.keys(properties), ...Object.values(settings)].filter((word) => !text.includes(`\`${word}\``));
      expect(missing).toEqual([]);
    });
  });
}

/** Kinds of open handles with how many there are of each, except those of the test runner, which come and go. */
function resources(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (/^(TCP(Server|Socket)|UDP|Timeout|Process|FSEvent|StatWatcher|Worker)/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
