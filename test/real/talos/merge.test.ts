import * as fc from 'fast-check';
import { SideroError } from '@sidero/core';
import { dump } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDocuments, printDocuments } from '../../../plugins/caps/src/machine-config/documents.ts';
import { applyPatch, parsePatch } from '../../../plugins/caps/src/machine-config/patch.ts';
import { type GeneratedMerge, generatedMerge } from './generated-configs.ts';
import { isTalosBuilt } from './program.ts';
import { type Answer, startTalosConfig, type TalosConfig } from './talos-config.ts';

const RUNS = 500;
const SEED = 20_261;

/** What Talos refuses and we take; each stands in docs/differences.md. */
const WE_TAKE: readonly RegExp[] = [
  /failed to delete path '.*': lookup failed/,
  /cannot delete an inner key in /,
  /merge type mismatch/,
  // A mistake of Talos, which would end in a reboot.
  /^panic: /,
];

const textOf = (documents: readonly object[]) => documents.map((document) => dump(document)).join('---\n');

/** Our own merge; undefined when we refuse it. */
function merged(config: string, patch: string): string | undefined {
  try {
    return printDocuments(applyPatch(parseDocuments(config, 'the configuration'), parsePatch(patch, 'the patch')));
  } catch (thrown) {
    if (thrown instanceof SideroError) return undefined;
    throw thrown;
  }
}

describe.skipIf(!isTalosBuilt)("our merge beside Talos' own", () => {
  let talos: TalosConfig;
  const base = 'version: v1alpha1\nmachine:\n  type: worker\n';

  beforeAll(() => {
    talos = startTalosConfig();
  });
  afterAll(() => talos[Symbol.asyncDispose]());

  /** What Talos makes of a patch, and what it reads from what we make of it. */
  async function both(config: string, patch: string): Promise<{ theirs: Answer; ours: Answer | undefined }> {
    const ours = merged(config, patch);
    return { theirs: await talos.ask({ config, patches: [patch] }), ours: ours === undefined ? undefined : await talos.ask({ config: ours }) };
  }

  async function compare({ config, patch }: GeneratedMerge): Promise<'same' | 'refused' | 'taken'> {
    const { theirs, ours } = await both(textOf(config), textOf(patch));
    if (theirs.problem === undefined) {
      expect(ours).toEqual(theirs);
      return 'same';
    }
    if (ours === undefined) return 'refused';
    expect(
      WE_TAKE.some((known) => known.test(theirs.problem!)),
      theirs.problem,
    ).toBe(true);
    return 'taken';
  }

  test(`reads the same from ${RUNS} generated merges`, async () => {
    const outcomes: string[] = [];
    await fc.assert(
      fc.asyncProperty(generatedMerge, async (given) => {
        const known = await talos.ask({ config: textOf(given.config) });
        expect(known.problem, textOf(given.config)).toBeUndefined();
        outcomes.push(await compare(given));
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    );
    // It is the merges that both make which count.
    expect(outcomes.filter((outcome) => outcome === 'same').length).toBeGreaterThan(RUNS * 0.6);
  });

  test('an address of the control plane keeps the parts that a patch leaves out', async () => {
    const config = `${base}cluster:\n  controlPlane:\n    endpoint: https://one.example:6443/path\n`;
    const { theirs, ours } = await both(config, 'cluster: {controlPlane: {endpoint: "https://two.example"}}');
    expect(ours?.config).toContain('endpoint: https://two.example/path\n');
    expect(ours).toEqual(theirs);
  });

  describe('differs on purpose', () => {
    test('a deletion in what is not there changes nothing; Talos refuses it', async () => {
      const { theirs, ours } = await both(base, 'machine: {kubelet: {extraArgs: {$patch: delete}}}');
      expect(theirs.problem).toContain('lookup failed');
      expect(ours?.config).toContain('type: worker');
    });

    test('a mapping inside an element of a list may be deleted; Talos refuses it', async () => {
      const config = `${base}  network: {interfaces: [{interface: eth0, mtu: 1400, dhcpOptions: {routeMetric: 1}}]}\n`;
      const { theirs, ours } = await both(config, 'machine: {network: {interfaces: [{interface: eth0, dhcpOptions: {$patch: delete}}]}}');
      expect(theirs.problem).toContain('cannot delete an inner key');
      expect(ours?.config).toContain('mtu: 1400');
      expect(ours?.config).not.toContain('dhcpOptions');
    });

    test('a value may become one of another type in free-form settings; Talos refuses it', async () => {
      const config = `${base}  kubelet: {extraConfig: {serverTLSBootstrap: "true"}}\n`;
      const { theirs, ours } = await both(config, 'machine: {kubelet: {extraConfig: {serverTLSBootstrap: true}}}');
      expect(theirs.problem).toContain('merge type mismatch');
      expect(ours?.config).toContain('serverTLSBootstrap: true\n');
    });

    test('"accept" wins over "block", and "0s" over a time; to Talos they say nothing', async () => {
      const config = `${base}  time: {bootTimeout: 2m0s}\n---\napiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: block\n`;
      const patch = 'machine: {time: {bootTimeout: 0s}}\n---\napiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: accept\n';
      const { theirs, ours } = await both(config, patch);
      expect(theirs.config).toMatch(/bootTimeout: 2m0s[^]*ingress: block/);
      expect(ours?.config).toContain('ingress: accept');
      expect(ours?.config).not.toContain('bootTimeout');
    });

    test('fields and kinds of newer releases pass; Talos of this release refuses them', async () => {
      const patch = 'machine: {brandNew: 1}\n---\napiVersion: v1beta9\nkind: BrandNewConfig\n';
      expect((await talos.ask({ config: base, patches: [patch] })).problem).toContain('error decoding document');
      expect(merged(base, patch)).toMatch(/brandNew: 1[^]*kind: BrandNewConfig/);
    });
  });
});
