import { expect, test } from 'vitest';
import * as z from 'zod';
import { definePlugin } from './plugin.ts';
import { boolean, integer } from './settings.ts';
import type { Sidero } from './sidero.ts';

const seen: unknown[] = [];
const sample = definePlugin({
  name: 'sample',
  options: z.strictObject({ accept: z.boolean().default(false), port: z.int().optional() }),
  settings: { accept: boolean('SIDERO_SAMPLE_ACCEPT'), port: integer('SIDERO_SAMPLE_PORT') },
  setup: (_, options) => void seen.push(options),
});
const site = (variables: Record<string, string>) => ({ variables }) as unknown as Sidero;

test('options have their defaults', () => {
  sample().setup(site({}));
  expect(seen.pop()).toEqual({ accept: false });
});

test('a variable wins over the config file', () => {
  sample({ accept: false, port: 1 }).setup(site({ SIDERO_SAMPLE_ACCEPT: 'true' }));
  expect(seen.pop()).toEqual({ accept: true, port: 1 });
});

test('an unknown option names plugin and key', () => {
  expect(() => sample({ acept: true } as never).setup(site({}))).toThrow('Plugin "sample": option "acept" (from the config file)');
});

test('a wrong option that came from a variable names the variable', () => {
  const narrow = definePlugin({
    name: 'narrow',
    options: z.strictObject({ port: z.int().max(10) }),
    settings: { port: integer('SIDERO_NARROW_PORT') },
    setup: () => undefined,
  });
  expect(() => narrow({ port: 1 }).setup(site({ SIDERO_NARROW_PORT: '99' }))).toThrow('option "port" (from SIDERO_NARROW_PORT)');
});

test('a plugin tells its options without being set up', () => {
  expect(sample().options).toMatchObject({ schema: { properties: { accept: { default: false } } }, settings: { port: 'SIDERO_SAMPLE_PORT' } });
});
